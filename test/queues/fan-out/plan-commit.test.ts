import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { groupMessages, planCommit, withOwned } from "../../../queues/fan-out/plan-commit.ts";
import { messageIdHash } from "../../../queues/fan-out/route.ts";
import type { EventMessage } from "../../../r2-layout/event-message.ts";
import { parseMessage } from "../../../r2-layout/event-message.ts";
import type { TestMessage } from "../log-rig.ts";
import { bodyOf } from "../log-rig.ts";

const NONE = { ids: new Uint8Array(10_000), messages: new Uint8Array(100) };

function parsed(message: TestMessage): EventMessage {
  const result = parseMessage(bodyOf(message));
  if (!result.ok) throw new Error(result.error.detail);
  return result.value;
}

const groupOf = (messages: readonly TestMessage[]) => groupMessages(messages.map(parsed), 25_000)[0]!;
const eventsOf = (lines: readonly string[]) => lines.map((line) => JSON.parse(line).raw.properties.number);

const batches = fc.array(
  fc.record({ n: fc.integer({ min: 1, max: 5 }), events: fc.array(fc.nat(20), { minLength: 1, maxLength: 8 }) }),
  { minLength: 1, maxLength: 8 },
);

describe("planning a commit", () => {
  it("keeps each event once, in the order of delivery, and counts the rest of its message as duplicates", () => {
    const plan = planCommit(
      groupOf([
        { edge: "e", n: 1, before: 0, events: [1, 2, 1] },
        { edge: "e", n: 2, before: 3, events: [2, 3] },
      ]),
      NONE,
    );
    expect(eventsOf(plan.lines)).toEqual([1, 2, 3]);
    expect(plan.messages.map(({ n, duplicates }) => [n, duplicates])).toEqual([
      [1, 1],
      [2, 1],
    ]);
    expect(plan.ids.length).toBe(3 * 16);
  });

  it("leaves out a message that comes a second time in the batch, without calling its events duplicates", () => {
    const message = { edge: "e", n: 1, before: 0, events: [1, 2] };
    const plan = planCommit(groupOf([message, message]), NONE);
    expect(plan).toMatchObject({ redelivered: 1, messages: [{ n: 1, duplicates: 0 }] });
    expect(eventsOf(plan.lines)).toEqual([1, 2]);
  });

  it("tells the same message number of another shard, or of another edge, apart", () => {
    const one = messageIdHash({ edge: "a", shard: 0, n: 1 });
    expect(messageIdHash({ edge: "a", shard: 1, n: 1 })).not.toEqual(one);
    expect(messageIdHash({ edge: "b", shard: 0, n: 1 })).not.toEqual(one);
    expect(messageIdHash({ edge: "a", shard: 0, n: 1 })).toEqual(one);
  });

  it("keeps a quarantined event beside an accepted one of the same id, and counts those it kept", () => {
    const plan = planCommit(
      groupOf([
        { edge: "e", n: 1, before: 0, events: [1, 1, 1], quarantined: [1, 2] },
        { edge: "e", n: 2, before: 3, events: [2], quarantined: [0] },
      ]),
      NONE,
    );
    expect(eventsOf(plan.lines)).toEqual([1, 1, 2]);
    expect(plan).toMatchObject({ quarantined: 2, messages: [{ duplicates: 1 }, { duplicates: 0 }] });
  });

  it("promise 3: every line of every new message is kept or a duplicate, whatever is owned", () => {
    fc.assert(
      fc.property(batches, fc.infiniteStream(fc.boolean()), (batch, coin) => {
        const group = groupOf(batch.map((message) => ({ edge: "e", before: 0, ...message })));
        const owned = {
          ids: Uint8Array.from({ length: group.ids.length / 16 }, () => (coin.next().value ? 1 : 0)),
          messages: Uint8Array.from({ length: group.messages.length }, () => (coin.next().value ? 1 : 0)),
        };
        const plan = planCommit(group, owned);
        const events = plan.messages.reduce((sum, message) => sum + message.events, 0);
        const duplicates = plan.messages.reduce((sum, message) => sum + message.duplicates, 0);
        expect(plan.lines.length + duplicates).toBe(events);
        expect(plan.messages.length + plan.redelivered).toBe(batch.length);
        expect(plan.ids.length).toBe(plan.lines.length * 16);
        plan.idPlaces.forEach((place, i) => {
          expect(plan.ids.subarray(i * 16, i * 16 + 16)).toEqual(group.ids.subarray(place * 16, place * 16 + 16));
          expect(owned.ids[place]).toBe(0);
        });
      }),
    );
  });

  it("promise 2: needs one more round after the answer `owned`, however often an owned id stands in the batch", () => {
    fc.assert(
      fc.property(batches, fc.uniqueArray(fc.nat(20)), (batch, ownedEvents) => {
        const group = groupOf(batch.map(({ events }, i) => ({ edge: "e", n: i + 1, before: 0, events })));
        const nothing = { ids: new Uint8Array(group.ids.length / 16), messages: new Uint8Array(group.messages.length) };
        const first = planCommit(group, nothing);
        const numbers = eventsOf(first.lines);
        const owned = numbers.flatMap((number, i) => (ownedEvents.includes(number) ? [i] : []));
        const second = planCommit(group, withOwned(nothing, first, { ids: owned, messages: [] }));
        expect(eventsOf(second.lines)).toEqual(numbers.filter((number) => !ownedEvents.includes(number)));
      }),
    );
  });
});

describe("grouping a batch", () => {
  it("puts the messages of a shard together, in order, whatever lies between them", () => {
    const groups = groupMessages(
      [
        { edge: "e", n: 1, before: 0, events: [1], shard: 2 },
        { edge: "e", n: 1, before: 0, events: [2], shard: 0 },
        { edge: "e", n: 2, before: 1, events: [3], shard: 2 },
      ].map(parsed),
      25_000,
    );
    expect(groups.map(({ shard, messages }) => [shard, messages.map(({ header }) => header.n)])).toEqual([
      [2, [1, 2]],
      [0, [1]],
    ]);
  });

  it("promise 9: starts another group where a segment would have too many events, and never loses one", () => {
    const messages = [5, 5, 1, 20, 3].map((count, i) =>
      parsed({ edge: "e", n: i + 1, before: 0, events: Array.from({ length: count }, (_, event) => i * 100 + event) }),
    );
    const groups = groupMessages(messages, 10);
    expect(groups.map(({ ids }) => ids.length / 16)).toEqual([10, 1, 20, 3]);
    expect(groups.flatMap((group) => group.messages)).toEqual(messages);
  });
});
