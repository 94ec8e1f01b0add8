import { reset, SELF } from "cloudflare:test";
import { afterEach, describe, expect, it } from "vitest";
import { DASHBOARDS } from "../../../r2-layout/limits.ts";
import { TOKEN } from "./edge-config.ts";

const URL_OF = (id = "") => `https://collect.example/v1/dashboards${id && `/${id}`}`;
const tile = { id: "orders", title: "", view: "figure", metric: "events", by: null, width: 1 };
const shop = { name: "Shop", span: "60m", filter: { country: ["DE"] }, tiles: [tile] };

afterEach(() => reset());

interface Answer {
  status: number;
  etag: string | null;
  body: Record<string, unknown> | null;
}

async function ask(method: string, id?: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await SELF.fetch(URL_OF(id), {
    method,
    headers: { authorization: `Bearer ${TOKEN.live}`, ...headers },
    ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    etag: response.headers.get("etag"),
    body: text === "" ? null : (JSON.parse(text) as Record<string, unknown>),
  };
}

describe("dashboards", () => {
  it("are kept, listed by name, changed and removed", async () => {
    expect(await ask("GET")).toMatchObject({ status: 200, body: { dashboards: [] } });
    const made = await ask("PUT", "shop", shop);
    expect(made).toMatchObject({ status: 201, etag: '"1"', body: { id: "shop", version: 1, ...shop } });
    await ask("PUT", "wall", { ...shop, name: "A wall", tiles: [] });
    expect(await ask("GET", "shop")).toEqual({ ...made, status: 200 });
    expect((await ask("PUT", "shop", { ...shop, name: "The shop" })).body).toMatchObject({ version: 2 });
    expect((await ask("GET")).body).toMatchObject({
      dashboards: [
        { id: "wall", name: "A wall", version: 1, tiles: 0 },
        { id: "shop", name: "The shop", version: 2, tiles: 1 },
      ],
    });
    expect((await ask("DELETE", "shop")).status).toBe(204);
    for (const method of ["GET", "DELETE"]) {
      expect(await ask(method, "shop")).toMatchObject({ status: 404, body: { reason: "not_found" } });
    }
  });

  it("tell the second of two who change one at once, and keep what the first has made of it", async () => {
    const { etag } = await ask("PUT", "shop", shop);
    const mine = { ...shop, name: "Mine" };
    expect((await ask("PUT", "shop", mine, { "if-match": etag! })).status).toBe(200);
    // The answer was lost, and the same comes again.
    expect(await ask("PUT", "shop", mine, { "if-match": etag! })).toMatchObject({ status: 200, etag: '"2"' });
    const theirs = await ask("PUT", "shop", { ...shop, name: "Theirs" }, { "if-match": etag! });
    expect(theirs).toMatchObject({ status: 412, body: { reason: "dashboard_changed", version: 2 } });
    expect(await ask("PUT", "shop", shop, { "if-none-match": "*" })).toMatchObject({ status: 412 });
    expect((await ask("GET", "shop")).body).toMatchObject({ name: "Mine", version: 2 });
    expect(await ask("PUT", "gone", shop, { "if-match": '"1"' })).toMatchObject({ status: 412, body: { version: 0 } });
    expect(await ask("PUT", "new", shop, { "if-none-match": "*" })).toMatchObject({ status: 201 });
  });

  it("take a token with the scope live", async () => {
    const authorization = `Bearer ${TOKEN.support}`;
    for (const [method, id] of [["GET"], ["GET", "a"], ["PUT", "a"], ["DELETE", "a"]]) {
      const answer = await ask(method!, id, method === "PUT" ? shop : undefined, { authorization });
      expect(answer).toMatchObject({ status: 403, body: { reason: "missing_scope", scope: "live" } });
    }
  });

  it.each([
    ["an id that no address can have", "A", shop, {}, { status: 400, body: { parameter: "id" } }],
    ["an unknown member", "a", { ...shop, colour: "red" }, {}, { status: 400, body: { parameter: "colour" } }],
    ["a wrong tile", "a", { ...shop, tiles: [{}] }, {}, { status: 400, body: { parameter: "tiles.0.id" } }],
    ["what is no JSON", "a", "{", {}, { status: 400, body: { reason: "bad_json" } }],
    ["a version that is none", "a", shop, { "if-match": "2" }, { status: 400, body: { parameter: "If-Match" } }],
    ["another wish", "a", shop, { "if-none-match": '"2"' }, { status: 400, body: { parameter: "If-None-Match" } }],
  ])("are refused for %s", async (_, id, body, headers, refused) => {
    expect(await ask("PUT", id, body, headers)).toMatchObject(refused);
    expect((await ask("GET")).body).toEqual({ dashboards: [] });
  });

  it("promise 9: has a body of DASHBOARDS.bodyBytes and not a byte more", async () => {
    const text = JSON.stringify(shop);
    const padded = (bytes: number) => text.padEnd(bytes, " ");
    expect((await ask("PUT", "a", padded(DASHBOARDS.bodyBytes))).status).toBe(201);
    const refused = await ask("PUT", "a", padded(DASHBOARDS.bodyBytes + 1));
    expect(refused).toMatchObject({ status: 413, body: { reason: "body_too_large" } });
  });

  it("promise 9: are DASHBOARDS.dashboards in all, and those can still be changed", async () => {
    await Promise.all(Array.from({ length: DASHBOARDS.dashboards }, (_, i) => ask("PUT", `d${i}`, shop)));
    const refused = await ask("PUT", "one-more", shop);
    expect(refused).toMatchObject({
      status: 422,
      body: { reason: "too_many_dashboards", limit: DASHBOARDS.dashboards },
    });
    expect((await ask("PUT", "d0", { ...shop, name: "Other" })).body).toMatchObject({ version: 2 });
  });
});
