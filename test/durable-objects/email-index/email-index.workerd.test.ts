import { evictDurableObject, reset, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, it } from "vitest";
import { EmailAddress } from "../../../durable-objects/email-index/address.ts";
import type { EmailIndex } from "../../../durable-objects/email-index/email-index.ts";
import { EMAIL_INDEX } from "../../../r2-layout/limits.ts";
import { bindings } from "../../bindings.ts";

afterEach(() => reset());

const index = (bindings as unknown as { EMAIL_INDEX: DurableObjectNamespace<EmailIndex> }).EMAIL_INDEX;
const address = new EmailAddress("test-identity-key", "ada@example.org");
const entryOf = (id: string, of = address) => ({ address: of.hash, ...of.seal({ kind: "user", id }) });
const object = () => index.getByName(address.objectName);
const found = async (of = address) =>
  (await object().find(of.hash)).subjects.map((sealed) => of.open(sealed)?.id).sort();

describe("the index of e-mail addresses", () => {
  it("knows whose an address is, in the real runtime, through an eviction; a repeat is no row written", async () => {
    await object().add([entryOf("ada"), entryOf("ada"), entryOf("lady l")]);
    await evictDurableObject(object());
    await object().add([entryOf("ada")]);
    expect(await found()).toEqual(["ada", "lady l"]);
    const rows = await runInDurableObject(
      object(),
      (_, { storage }) => storage.sql.exec("SELECT 1 FROM emails").toArray().length,
    );
    expect(rows).toBe(2);
    expect(await found(new EmailAddress("test-identity-key", "nobody@example.org"))).toEqual([]);
  });

  it("promise 9: lists EMAIL_INDEX.subjectsPerAddress of one address, and adds none beyond", async () => {
    const many = Array.from({ length: EMAIL_INDEX.subjectsPerAddress }, (_, i) => entryOf(`u${i}`));
    await object().add(many.slice(1));
    expect((await object().find(address.hash)).full).toBe(false);
    await object().add(many);
    const full = await object().find(address.hash);
    expect([full.full, full.subjects.length]).toEqual([true, EMAIL_INDEX.subjectsPerAddress]);
    await object().add([entryOf("one more")]);
    expect(await found()).not.toContain("one more");
  });

  it("forgets a subject, and only that one", async () => {
    await object().add([entryOf("ada"), entryOf("lady l")]);
    for (let twice = 0; twice < 2; twice++) await object().forget([entryOf("ada")]);
    expect(await found()).toEqual(["lady l"]);
  });
});
