import { describe, expect, it } from "vitest";
import type { EnforcedContract } from "../../../../durable-objects/contract-registry/api.ts";
import { saltPeriod } from "../../../../durable-objects/pii-key/api.ts";
import { unsealed } from "../../../../r2-layout/contracts/sealed-text.ts";
import { PII } from "../../../../r2-layout/limits.ts";
import { parseLogLine } from "../../../../r2-layout/log-line.ts";
import { subjectHasher } from "../../../../r2-layout/subjects.ts";
import { ContractChecks } from "../../../../workers/edge/contracts/contract-checks.ts";
import { finishEvents, parseEvents, readBody } from "../../../../workers/edge/parse-events.ts";
import { EventPrivacy } from "../../../../workers/edge/privacy/event-privacy.ts";
import { PrivacyKeys } from "../../../../workers/edge/privacy/privacy-keys.ts";
import { facts, RECEIVED_AT } from "../facts.ts";

const ADDRESS = "ada@example.com";

const enforced = (mode: EnforcedContract["mode"] = "warn"): EnforcedContract => ({
  eventName: "Signed up",
  source: "*",
  mode,
  document: JSON.stringify({
    "x-event": "Signed up",
    "x-version": 1,
    "x-owner": "growth",
    description: "It happened.",
    type: "object",
    additionalProperties: false,
    properties: {
      plan: { type: "string" },
      email: { type: "string", maxLength: 40, "x-pii": { class: "email", treatment: "hash" } },
      revenue: { type: "number", "x-pii": { class: "financial", treatment: "drop" } },
      who: {
        type: "object",
        properties: { name: { type: "string", "x-pii": { class: "name", treatment: "encrypt" } } },
      },
    },
  }),
});

const hash = subjectHasher("key");
const ADA = hash({ kind: "user", id: "ada" });

/** Secrets of an isolate, in objects that can be told to fail. */
function rig() {
  const made = new Map<string, Uint8Array | null>();
  const asked: string[] = [];
  let now = RECEIVED_AT / 1_000;
  const parts = { failing: false, destroyed: false };
  const objects = {
    getByName: (name: string) => ({
      async secret() {
        asked.push(name);
        if (parts.failing) throw new Error("it is not there");
        if (parts.destroyed) return null;
        made.set(name, made.get(name) ?? new Uint8Array(32).fill(made.size + 1));
        return made.get(name)!;
      },
    }),
  };
  const keys = new PrivacyKeys(
    () => objects,
    () => now,
  );
  const later = (ms: number) => {
    now += ms;
  };
  return { keys, made, asked, parts, later };
}

async function parsed(keys: PrivacyKeys, batch: readonly object[], mode?: EnforcedContract["mode"]) {
  const read = readBody(new TextEncoder().encode(JSON.stringify({ batch })), "batch");
  if (!read.ok) throw new Error(read.error.reason);
  const privacy = new EventPrivacy({ keys, hash }, RECEIVED_AT);
  const checks = new ContractChecks([enforced(mode)]);
  const begun = parseEvents(
    read.value,
    facts(),
    () => 0,
    () => "0".repeat(32),
    checks,
    privacy,
  );
  await keys.learn(begun.waiting.map(({ needs }) => needs));
  return { begun, done: finishEvents(begun, (needs) => keys.known(needs)) };
}

const signedUp = (properties: unknown, more: object = {}) => ({
  type: "track",
  event: "Signed up",
  messageId: "m",
  userId: "ada",
  properties,
  ...more,
});

describe("an event whose contract has a PII policy", () => {
  it("comes to the log without what the policy takes out: row, columns and raw alike (promise 7)", async () => {
    const { keys, made } = rig();
    const properties = { plan: "pro", email: ADDRESS, revenue: 4711.25, who: { name: "Lovelace" } };
    const context = { traits: { email: ADDRESS }, ip: "192.0.2.1" };
    const { done } = await parsed(keys, [signedUp(properties, { context })]);
    expect(done.waiting).toEqual([]);
    const { line } = done.kept[0]!;
    for (const plain of [ADDRESS, "4711", "Lovelace", "192.0.2.1"]) expect(line).not.toContain(plain);
    const { row, raw } = parseLogLine(line);
    const hashed = expect.stringMatching(new RegExp(`^hash\\.${saltPeriod(RECEIVED_AT / 1_000)}\\.`));
    expect(row).toMatchObject({ contract_version: 1, properties: { plan: "pro", email: hashed } });
    expect(row.revenue).toBeUndefined();
    expect(raw.context).toEqual({ traits: { email: row.properties!.email } });
    const sealed = (raw.properties as { who: { name: string } }).who.name;
    expect(unsealed(sealed, made.get(`key:${ADA}`)!)).toEqual({ value: "Lovelace" });
  });

  it.each([
    ["a column that it does not fit", { timestamp: "yesterday" }, { email: ADDRESS }],
    ["its contract, in the very field", {}, { email: `${"x".repeat(40)}${ADDRESS}` }],
    ["its contract, around the field", {}, { who: ADDRESS }],
    ["its contract, with no object at all", {}, ADDRESS],
  ])("is kept apart without it, too, and its mark tells no value: %s", async (_, more, properties) => {
    const { done } = await parsed(rig().keys, [signedUp(properties, more)], "quarantine");
    const { line, quarantine } = done.kept[0]!;
    expect(quarantine).toBeDefined();
    expect(line).not.toContain(ADDRESS);
    expect(parseLogLine(line).q).toEqual(quarantine);
  });

  it("waits for a secret once, and others do not wait; lines stand in the order in which events were sent", async () => {
    const { keys, asked } = rig();
    const batch = [
      signedUp({ email: ADDRESS }),
      { type: "track", event: "Seen", userId: "ada", messageId: "n" },
      signedUp({}),
    ];
    const { begun, done } = await parsed(keys, batch);
    expect([begun.kept.map(({ index }) => index), begun.waiting.map(({ index }) => index)]).toEqual([[1], [0, 2]]);
    expect(done.kept.map(({ index }) => index)).toEqual([0, 1, 2]);
    const again = await parsed(keys, batch);
    expect(again.begun.waiting).toEqual([]);
    expect(again.begun.kept.map(({ line }) => line)).toEqual(done.kept.map(({ line }) => line));
    expect(asked).toHaveLength(2);
  });

  it("is to be sent again where a secret cannot be had: it is neither lost nor written down as it is (promise 1)", async () => {
    const { keys, parts } = rig();
    parts.failing = true;
    const { done } = await parsed(keys, [signedUp({ email: ADDRESS })]);
    expect([done.kept, done.dropped, done.waiting.length]).toEqual([[], [], 1]);
  });

  it("loses the field where the person's key was destroyed, or there is no person", async () => {
    const { keys, parts } = rig();
    const nameOf = async (more: object) => {
      const { done } = await parsed(keys, [signedUp({ who: { name: "Lovelace" } }, more)]);
      return (parseLogLine(done.kept[0]!.line).raw.properties as { who: { name?: string } }).who.name;
    };
    expect(await nameOf({})).toMatch(/^enc\.1\./);
    expect(await nameOf({ userId: undefined })).toBeUndefined();
    expect(await nameOf({ userId: undefined, anonymousId: "device" })).toMatch(/^enc\.1\./);
    parts.destroyed = true;
    expect(await nameOf({ userId: "grace" })).toBeUndefined();
  });
});

describe("keys that an isolate knows", () => {
  it("are used for PII.keyMs and no longer", async () => {
    const { keys, asked, later } = rig();
    const needs = { saltAt: null, person: ADA };
    await keys.learn([needs]);
    later(PII.keyMs - 1);
    await keys.learn([needs]);
    expect(asked).toHaveLength(1);
    later(1);
    expect(keys.known(needs)).toBeNull();
    await keys.learn([needs]);
    expect(asked).toHaveLength(2);
  });

  it("are PII.keysPerRequest more with each request, and PII.keysKnown in all", async () => {
    const { keys, asked } = rig();
    const of = (i: number) => ({ saltAt: null, person: String(i) });
    await keys.learn(Array.from({ length: PII.keysPerRequest + 1 }, (_, i) => of(i)));
    expect(asked).toHaveLength(PII.keysPerRequest);
    expect(keys.known(of(PII.keysPerRequest - 1))).not.toBeNull();
    expect(keys.known(of(PII.keysPerRequest))).toBeNull();
    for (let from = PII.keysPerRequest; from < PII.keysKnown; from += PII.keysPerRequest) {
      await keys.learn(Array.from({ length: PII.keysPerRequest }, (_, i) => of(from + i)));
    }
    expect(keys.known(of(0))).not.toBeNull();
    await keys.learn([of(PII.keysKnown)]);
    expect(keys.known(of(0))).toBeNull();
  });

  it("change with the period: a salt is of PII.saltMs", async () => {
    const { keys, made } = rig();
    const start = saltPeriod(RECEIVED_AT / 1_000) * PII.saltMs;
    const at = (saltAt: number) => ({ saltAt, person: null });
    await keys.learn([at(start)]);
    expect(keys.known(at(start + PII.saltMs - 1))).not.toBeNull();
    expect(keys.known(at(start + PII.saltMs))).toBeNull();
    await keys.learn([at(start + PII.saltMs)]);
    expect(made.size).toBe(2);
  });
});
