import { env, SELF } from "cloudflare:test";
import { sign } from "hono/jwt";
import { describe, expect, it } from "vitest";
import { ACCESS, TOKEN } from "./edge-config.ts";

const key = JSON.parse((env as unknown as { TEST_ACCESS_KEY: string }).TEST_ACCESS_KEY);
const ORIGIN = "https://collect.example";

/** As Cloudflare Access lets a person's request through. */
async function ask(path: string, email: string, init: RequestInit = {}): Promise<Response> {
  const exp = Math.floor(Date.now() / 1_000) + 60;
  const assertion = await sign({ email, iss: ACCESS.team, aud: [ACCESS.aud], exp }, key, "RS256");
  const headers = { ...(init.headers as Record<string, string>), "cf-access-jwt-assertion": assertion };
  return SELF.fetch(`${ORIGIN}${path}`, { ...init, headers });
}

describe("who is signed in by Cloudflare Access", () => {
  it("may what is granted to them, and no more", async () => {
    expect(await (await ask("/v1/token", "help@team.example")).json()).toMatchObject({ scopes: ["support"] });
    expect(await (await ask("/v1/token", "anybody@team.example")).json()).toMatchObject({ scopes: ["live"] });
    expect((await ask("/v1/users/x/events", "help@team.example")).status).toBe(200);
    const beyond = await ask("/v1/users/x/events", "anybody@team.example");
    expect([beyond.status, await beyond.json()]).toMatchObject([403, { reason: "missing_scope", scope: "support" }]);
    const nobody = await ask("/v1/token", "someone@else.example");
    expect([nobody.status, await nobody.json()]).toMatchObject([403, { reason: "nothing_granted" }]);
  });

  it("opens the live socket, whose address has no token then", async () => {
    const upgrade = { headers: { upgrade: "websocket", origin: ORIGIN } };
    const { status, webSocket } = await ask("/v1/live?token=&topics=minutes", "anybody@team.example", upgrade);
    expect(status).toBe(101);
    webSocket!.accept();
    webSocket!.close();
    const elsewhere = { headers: { upgrade: "websocket", origin: "https://evil.example" } };
    expect((await ask("/v1/live?token=&topics=minutes", "anybody@team.example", elsewhere)).status).toBe(403);
  });

  it("is not used by another site through the browser's cookie", async () => {
    const post = {
      method: "POST",
      body: "{}",
      headers: { "sec-fetch-site": "cross-site", origin: "https://evil.example" },
    };
    const answer = await ask("/v1/users/x/tokens", "help@team.example", post);
    expect([answer.status, await answer.json()]).toMatchObject([403, { reason: "cross_site" }]);
  });

  it("is whom a token names where there is one", async () => {
    const headers = { authorization: `Bearer ${TOKEN.sql}` };
    expect(await (await ask("/v1/token", "help@team.example", { headers })).json()).toMatchObject({ scopes: ["sql"] });
    const wrong = { headers: { authorization: "Bearer mistyped" } };
    expect((await ask("/v1/token", "help@team.example", wrong)).status).toBe(401);
  });

  it("is told what is wrong with the assertion, and that there is none", async () => {
    const headers = { "cf-access-jwt-assertion": "a.b.c" };
    const answer = await SELF.fetch(`${ORIGIN}/v1/token`, { headers });
    expect([answer.status, await answer.json()]).toMatchObject([401, { reason: "refused_assertion" }]);
    expect(await (await SELF.fetch(`${ORIGIN}/v1/token`)).json()).toMatchObject({ reason: "missing_token" });
  });

  it("sends events as everybody does: a write key is no assertion", async () => {
    const headers = { "content-type": "application/json", "cf-access-jwt-assertion": "a.b.c" };
    const body = JSON.stringify({ event: "x", userId: "u", writeKey: "no such key" });
    const answer = await SELF.fetch(`${ORIGIN}/v1/track`, { method: "POST", headers, body });
    expect(await answer.json()).toMatchObject({ reason: "unknown_write_key" });
  });
});
