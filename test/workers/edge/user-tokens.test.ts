import { sign } from "hono/jwt";
import { describe, expect, it } from "vitest";
import { EVENT_COLUMNS } from "../../../r2-layout/event-columns.ts";
import { OWN } from "../../../r2-layout/limits.ts";
import { parseUserTokenKeys } from "../../../workers/edge/user-tokens.ts";
import { USER_TOKEN_KEYS } from "./edge-config.ts";

const [NEWEST, OLDER] = USER_TOKEN_KEYS;
const now = () => Date.now() * 1_000;
const seconds = () => Math.floor(Date.now() / 1_000);
const tokens = parseUserTokenKeys(JSON.stringify(USER_TOKEN_KEYS), now)!;
const claims = (more: object = {}) => ({ sub: "ann", aud: "eventpile", exp: seconds() + 60, ...more });
const refused = (detail: RegExp) => ({
  ok: false,
  error: { reason: "refused_user_token", detail: expect.stringMatching(detail) },
});

describe("a token of a user", () => {
  it.each(["ann", "a/b 😀", "x".repeat(EVENT_COLUMNS.user_id.maxBytes + 50)])(
    "is for the user who was named, cut as the column is: %s",
    async (id) => {
      const answer = await tokens.verify(await tokens.sign(id, 60));
      expect(answer).toEqual({ ok: true, value: id.slice(0, EVENT_COLUMNS.user_id.maxBytes) });
    },
  );

  it("may be signed by the app's own server, with any key on the list, and by a clock that is a little ahead", async () => {
    for (const key of USER_TOKEN_KEYS) {
      expect(await tokens.verify(await sign(claims(), key, "HS256"))).toEqual({ ok: true, value: "ann" });
    }
    const ahead = await sign(claims({ iat: seconds() + 30 }), OLDER, "HS256");
    expect(await tokens.verify(ahead)).toEqual({ ok: true, value: "ann" });
  });

  it("is refused once its time is over, and where its key has left the list", async () => {
    const old = await sign(claims({ exp: seconds() }), NEWEST, "HS256");
    expect(await tokens.verify(old)).toEqual({ ok: false, error: { reason: "expired_token" } });
    const rotated = parseUserTokenKeys(JSON.stringify([NEWEST]), now)!;
    expect(await rotated.verify(await sign(claims(), OLDER, "HS256"))).toEqual(refused(/no key/));
  });

  it.each([
    ["no end", { exp: undefined }, /no exp/],
    ["an end that is no number", { exp: "never" }, /./],
    ["an end too far ahead", { exp: seconds() + OWN.tokenSecondsMax + 100 }, /seconds ahead/],
    ["another audience", { aud: "billing" }, /aud/],
    ["no audience", { aud: undefined }, /aud/],
    ["no user", { sub: undefined }, /sub/],
    ["an empty user", { sub: "" }, /sub/],
    ["a user who is no text", { sub: 7 }, /sub/],
    ["a time from which it holds", { nbf: seconds() + 1_000 }, /nbf/],
  ])("is refused with %s", async (_, more, detail) => {
    const answer = await tokens.verify(await sign(claims(more), NEWEST, "HS256"));
    if (typeof (more as { exp?: unknown }).exp === "string") expect(answer.ok).toBe(false);
    else expect(answer).toEqual(refused(detail));
  });

  it("may last OWN.tokenSecondsMax, and no longer", async () => {
    expect((await tokens.verify(await tokens.sign("ann", OWN.tokenSecondsMax))).ok).toBe(true);
    expect((await tokens.verify(await tokens.sign("ann", OWN.tokenSecondsMax + 5))).ok).toBe(false);
  });

  it("is refused where nobody signed it, or by another algorithm, or where it is longer than OWN.tokenChars", async () => {
    const token = await tokens.sign("ann", 60);
    const [header, payload] = token.split(".");
    const forged = Buffer.from(JSON.stringify({ alg: "none", typ: "JWT" })).toString("base64url");
    expect(await tokens.verify(`${forged}.${payload}.`)).toEqual(refused(/./));
    const bob = Buffer.from(JSON.stringify(claims({ sub: "bob" }))).toString("base64url");
    expect(await tokens.verify(`${header}.${bob}.${token.split(".")[2]}`)).toEqual(refused(/no key/));
    expect(await tokens.verify(await sign(claims(), NEWEST, "HS512"))).toEqual(refused(/HS256/));
    for (const text of ["dev-admin", "a.b.c", ".."]) expect(await tokens.verify(text)).toEqual(refused(/no JSON/));

    const padded = async (chars: number) => sign(claims({ pad: "x".repeat(chars) }), NEWEST, "HS256");
    const most = await padded(Math.floor(((OWN.tokenChars - (await padded(0)).length) * 3) / 4) - 1);
    expect(most.length).toBeLessThanOrEqual(OWN.tokenChars);
    expect((await tokens.verify(most)).ok).toBe(true);
    expect(await tokens.verify(await padded(OWN.tokenChars))).toEqual(refused(/characters/));
  });
});

describe("the setting USER_TOKEN_KEYS", () => {
  it("is absent where an app shows nobody their events", () => {
    expect(parseUserTokenKeys(undefined, now)).toBeNull();
    expect(parseUserTokenKeys("", now)).toBeNull();
  });

  it("has keys of OWN.keyBytesMin bytes at least", () => {
    expect(parseUserTokenKeys(JSON.stringify(["k".repeat(OWN.keyBytesMin)]), now)).not.toBeNull();
    for (const keys of [["k".repeat(OWN.keyBytesMin - 1)], [], "k".repeat(40), [5], {}]) {
      expect(() => parseUserTokenKeys(JSON.stringify(keys), now)).toThrow("USER_TOKEN_KEYS");
    }
  });
});
