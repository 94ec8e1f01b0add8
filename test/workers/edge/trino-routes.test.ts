import { Hono } from "hono";
import { beforeEach, expect, it } from "vitest";
import { SQL } from "../../../r2-layout/limits.ts";
import { addTrino } from "../../../workers/edge/trino-routes.ts";
import { parseTokens, tokenHash } from "../../../workers/tokens.ts";

const tokens = parseTokens(
  JSON.stringify([
    { sha256: tokenHash("secret"), scopes: ["sql"] },
    { sha256: tokenHash("other"), scopes: ["live"] },
  ]),
  () => 0,
);
let passed: Request[];
let app: Hono;

beforeEach(() => {
  passed = [];
  app = new Hono();
  addTrino(app, {
    tokens,
    audit: null,
    query: {
      async fetch(request) {
        passed.push(request);
        return Response.json({ ok: true });
      },
    },
  });
});

const basic = (password: string) => `Basic ${btoa(`ann:${password}`)}`;
const send = (path: string, init: RequestInit = {}) => app.request(`http://edge${path}`, init);

it.each([basic("secret"), "Bearer secret", basic("secret").replace("Basic", "basic")])(
  "takes %s",
  async (authorization) => {
    const headers = {
      authorization,
      "x-trino-user": "ann",
      "X-Trino-Schema": "default",
      cookie: "a=b",
      "x-eventpile-token": "forged",
    };
    expect((await send("/v1/statement", { method: "POST", headers, body: "SELECT 1" })).status).toBe(200);
    const [request] = passed;
    expect(Object.fromEntries(request!.headers)).toMatchObject({
      "x-eventpile-token": tokenHash("secret"),
      "x-trino-user": "ann",
      "x-trino-schema": "default",
    });
    expect(request!.headers.get("cookie")).toBeNull();
    expect(request!.headers.get("authorization")).toBeNull();
    expect(await request!.text()).toBe("SELECT 1");
  },
);

it.each([undefined, "Basic !", basic("wrong"), "Bearer wrong", `Basic ${btoa("secret")}`])(
  "does not take %s",
  async (authorization) => {
    const headers: HeadersInit = authorization === undefined ? [] : [["authorization", authorization]];
    for (const [path, method] of [
      ["/v1/statement", "POST"],
      ["/v1/statement/queued/a/b/0", "GET"],
      ["/v1/query/a", "DELETE"],
    ]) {
      const answer = await send(path!, { method: method!, headers });
      expect(answer.status).toBe(401);
      expect(answer.headers.get("www-authenticate")).toContain("Basic");
    }
    expect(passed).toEqual([]);
  },
);

it("wants the scope sql", async () => {
  const answer = await send("/v1/statement", { method: "POST", headers: { authorization: "Bearer other" } });
  expect(answer.status).toBe(403);
});

it("passes polls and cancels on, and names the scheme that the client sees", async () => {
  const headers = { authorization: "Bearer secret", "x-forwarded-proto": "https" };
  await send("/v1/statement/executing/a/b/3", { headers });
  await send("/v1/statement/executing/a/b/3", { method: "DELETE", headers });
  expect(passed.map(({ method, url }) => `${method} ${url}`)).toEqual([
    "GET https://edge/v1/statement/executing/a/b/3",
    "DELETE https://edge/v1/statement/executing/a/b/3",
  ]);
});

it("takes a body of twice a statement's bytes and none longer", async () => {
  const headers = { authorization: "Bearer secret" };
  const post = (bytes: number) => send("/v1/statement", { method: "POST", headers, body: "x".repeat(bytes) });
  expect((await post(2 * SQL.statementBytes)).status).toBe(200);
  expect((await post(2 * SQL.statementBytes + 1)).status).toBe(413);
});

it("tells its version to everybody", async () => {
  expect((await send("/v1/info")).status).toBe(200);
});
