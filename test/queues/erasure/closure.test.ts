import { describe, expect, it } from "vitest";
import { EmailAddress } from "../../../durable-objects/email-index/address.ts";
import type { NamedByTimeline } from "../../../durable-objects/user-timeline/erasure-api.ts";
import { timelineName } from "../../../durable-objects/user-timeline/timeline-name.ts";
import { closureOf } from "../../../queues/erasure/closure.ts";
import { ERASURE } from "../../../r2-layout/limits.ts";
import type { Subject } from "../../../r2-layout/subjects.ts";
import { TEST_KEY } from "./run-of.ts";

const user = (id: string): Subject => ({ kind: "user", id });
const device = (id: string): Subject => ({ kind: "device", id });
const email = (id: string): Subject => ({ kind: "email", id });

/** Users by the devices that they were seen on, and by the address that they gave. */
function world(seen: readonly (readonly [user: string, device: string])[], addresses: Record<string, string> = {}) {
  const named = new Map<string, NamedByTimeline>();
  const of = (subject: { kind: "user" | "device"; id: string }) => {
    const name = timelineName(TEST_KEY, subject);
    const known = named.get(name) ?? { users: [], devices: [], emails: [], cut: false };
    named.set(name, known);
    return known;
  };
  for (const [one, on] of seen) {
    of({ kind: "user", id: one }).devices.push(on);
    of({ kind: "device", id: on }).users.push(one);
  }
  for (const [one, address] of Object.entries(addresses)) of({ kind: "user", id: one }).emails.push(address);
  let calls = 0;
  const timelines = {
    getByName: (name: string) => ({
      async named() {
        calls++;
        return named.get(name) ?? { users: [], devices: [], emails: [], cut: false };
      },
    }),
  };
  const emails = {
    getByName: () => ({
      async find(hash: Uint8Array) {
        const subjects = Object.entries(addresses).flatMap(([id, address]) => {
          const known = new EmailAddress(TEST_KEY, address);
          return Buffer.from(known.hash).equals(hash) ? known.seal({ kind: "user", id }) : [];
        });
        return { subjects, full: false };
      },
    }),
  };
  const deps = { timelines, emails, identityKey: TEST_KEY, generation: async () => 0 };
  return { closure: (...subjects: Subject[]) => closureOf(deps, subjects), calls: () => calls };
}

describe("the closure of an erasure", () => {
  it("is a person's devices, addresses and users, from whichever of them it begins", async () => {
    const { closure } = world(
      [
        ["ann", "phone"],
        ["ann", "tablet"],
        ["bob", "laptop"],
      ],
      { ann: "ann@example.org" },
    );
    const all = [user("ann"), device("phone"), device("tablet"), email("ann@example.org")];
    for (const one of all) {
      const { links, complete } = await closure(one);
      expect(complete).toBe(true);
      expect(links.every(({ shared }) => !shared)).toBe(true);
      expect(new Set([one, ...links.map(({ subject }) => subject)].map((s) => `${s.kind} ${s.id}`))).toEqual(
        new Set(all.map((s) => `${s.kind} ${s.id}`)),
      );
    }
  });

  it("marks what is others', too, and does not follow it; where all of its users go it is nobody else's", async () => {
    const { closure } = world(
      [
        ["ann", "tablet"],
        ["bob", "tablet"],
        ["bob", "phone"],
      ],
      { ann: "home@example.org", bob: "home@example.org" },
    );
    const shared = await closure(user("ann"));
    expect(shared.links).toEqual([
      { subject: device("tablet"), via: user("ann"), shared: true },
      { subject: email("home@example.org"), via: user("ann"), shared: true },
      { subject: user("bob"), via: device("tablet"), shared: true },
    ]);
    const asked = await closure(device("tablet"));
    expect(asked.links.map(({ subject, shared: is }) => [subject.id, is])).toEqual([
      ["ann", true],
      ["bob", true],
    ]);
    const both = await closure(user("ann"), user("bob"));
    expect(both.links.map(({ subject, shared: is }) => [subject.id, is])).toEqual([
      ["tablet", false],
      ["home@example.org", false],
      ["phone", false],
    ]);
  });

  it("promise 9: asks ERASURE.closureCalls timelines and addresses, and says where there may be more", async () => {
    const many = Array.from({ length: ERASURE.closureCalls + 1 }, (_, i) => user(`u${i}`));
    const nobody = world([]);
    expect(await nobody.closure(...many.slice(1))).toEqual({ links: [], complete: true });
    expect(nobody.calls()).toBe(ERASURE.closureCalls);
    expect(await nobody.closure(...many)).toEqual({ links: [], complete: false });
    expect(nobody.calls()).toBe(2 * ERASURE.closureCalls);
  });

  it("promise 9: has ERASURE.subjects at most", async () => {
    const devices = Array.from({ length: ERASURE.subjects }, (_, i) => ["ann", `d${i}`] as const);
    const whole = await world(devices.slice(1)).closure(user("ann"));
    expect(whole.links).toHaveLength(ERASURE.subjects - 1);
    const cut = await world(devices).closure(user("ann"));
    expect([cut.links.length, cut.complete]).toEqual([ERASURE.subjects - 1, false]);
  });
});
