import { describe, expect, it } from "vitest";
import { userKeyName } from "../../../../durable-objects/pii-key/api.ts";
import type { ErasureRun } from "../../../../queues/erasure/erasure-store.ts";
import { keysStore } from "../../../../queues/erasure/stores/keys.ts";
import { PII } from "../../../../r2-layout/limits.ts";
import { type Subject, subjectHasher } from "../../../../r2-layout/subjects.ts";

const hash = subjectHasher("key");
const user = (id: string): Subject => ({ kind: "user", id });

/** Keys by name: a number for one that is there, null for one that was destroyed. */
function rig(people: readonly Subject[]) {
  const objects = new Map<string, Uint8Array | null>(people.map((one) => [userKeyName(hash(one)), new Uint8Array(32)]));
  let failures = 0;
  const store = keysStore({
    keys: {
      getByName: (name) => ({
        peek: async () => objects.get(name) ?? null,
        async destroy() {
          if (failures-- > 0) throw new Error("it is not there");
          const had = (objects.get(name) ?? null) !== null;
          objects.set(name, null);
          return had;
        },
      }),
    },
  });
  const run = (subjects: readonly Subject[], untilMs = 1, calls = 10_000) =>
    ({ subjects, hash, version: 3, calls: { left: calls }, untilMs, now: () => 1 }) as unknown as ErasureRun;
  const fail = (times: number) => {
    failures = times;
  };
  return { objects, store, run, fail };
}

describe("an erasure of people's keys", () => {
  it("destroys those of the subjects, and of nobody else, and confirms it (promise 7)", async () => {
    const device: Subject = { kind: "device", id: "phone" };
    const { store, run, objects } = rig([user("ada"), user("grace"), device]);
    const asked = run([user("ada"), device, { kind: "email", id: "ada@example.com" }, user("nobody")]);
    expect((await store.verify(asked, null)).traces).toBe(2);
    const { done, found } = await store.erase(asked, null);
    expect({ done, found }).toEqual({ done: true, found: { unit: "keys", found: 2, removed: 2, replaced: [] } });
    expect(await store.verify(asked, null)).toMatchObject({ done: true, traces: 0 });
    expect([...objects].filter(([, key]) => key !== null)).toEqual([
      [userKeyName(hash(user("grace"))), new Uint8Array(32)],
    ]);
  });

  it("promise 7: finds a key by its hash alone, when nobody knows the identifiers any more", async () => {
    const { store, run } = rig([user("ada")]);
    const past = (one: Subject): ErasureRun => ({ ...run([]), hashes: new Set([hash(one)]) });
    expect((await store.verify(past(user("ada")), null)).traces).toBe(1);
    expect((await store.verify(past(user("grace")), null)).traces).toBe(0);
  });

  it("is not confirmed by a store that fails, and goes on afterwards", async () => {
    const { store, run, fail } = rig([user("ada")]);
    fail(1);
    await expect(store.erase(run([user("ada")]), null)).rejects.toThrow("not there");
    expect((await store.verify(run([user("ada")]), null)).traces).toBe(1);
    await store.erase(run([user("ada")]), null);
    expect((await store.verify(run([user("ada")]), null)).traces).toBe(0);
  });

  it("destroys PII.keysAtOnce keys between two looks at the clock, and what is left in the next slice", async () => {
    const people = Array.from({ length: PII.keysAtOnce + 1 }, (_, i) => user(`u${i}`));
    const { store, run } = rig(people);
    expect((await store.erase(run(people.slice(1)), null)).done).toBe(true);
    const again = rig(people);
    const first = await again.store.erase(again.run(people), null);
    expect([first.done, first.found.removed]).toEqual([false, PII.keysAtOnce]);
    const second = await again.store.erase(again.run(people), first.position);
    expect([second.done, second.found.removed]).toEqual([true, 1]);
    const few = rig(people);
    const short = await few.store.erase(few.run(people, 2, PII.keysAtOnce), null);
    expect([short.done, short.found.removed]).toEqual([false, PII.keysAtOnce]);
    let seen = await again.store.verify(again.run(people), null);
    expect(seen.done).toBe(false);
    seen = await again.store.verify(again.run(people), seen.position);
    expect(seen).toMatchObject({ done: true, traces: 0 });
  });
});
