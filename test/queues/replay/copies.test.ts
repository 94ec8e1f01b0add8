import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  addSettled,
  type EventCopy,
  idKey,
  repeatedCopies,
  retractions,
  settledCounts,
  supersededCopies,
} from "../../../queues/replay/copies.ts";

const copy = (rest: Partial<EventCopy> = {}): EventCopy => ({
  shard: 0,
  seq: 1,
  source: "shop",
  event_id: "a",
  eventTime: 0,
  receivedAt: 1_000,
  republished: false,
  ...rest,
});

const copies = fc.array(
  fc.record({
    shard: fc.nat(3),
    seq: fc.integer({ min: 1, max: 20 }),
    source: fc.constantFrom("shop", "app"),
    event_id: fc.constantFrom("a", "b", "c"),
    eventTime: fc.nat(100),
    receivedAt: fc.nat(5),
    republished: fc.boolean(),
    committedAt: fc.nat(5),
  }),
  { maxLength: 30 },
);
const placeOf = (one: EventCopy) => `${one.shard}/${one.seq}/${idKey(one)}`;

describe("the copies that go", () => {
  it.each([
    ["superseded", supersededCopies],
    ["repeated", repeatedCopies],
  ] as const)(
    "%s: of each event one stays at most, never none, in whatever order and however often they were found",
    (_name, gone) => {
      fc.assert(
        fc.property(copies, (found) => {
          const byPlace = [...new Map(found.map((one) => [placeOf(one), one])).values()];
          const left = new Set(gone(found).map(placeOf));
          for (const [, group] of Map.groupBy(byPlace, idKey)) {
            const stays = group.filter((one) => !left.has(placeOf(one)));
            expect(stays.length).toBeGreaterThanOrEqual(1);
            if (gone === repeatedCopies || group.some(({ republished }) => republished)) expect(stays.length).toBe(1);
            else expect(stays.length).toBe(group.length);
          }
          expect(new Set(gone([...byPlace, ...byPlace].reverse()).map(placeOf))).toEqual(
            new Set(gone(byPlace).map(placeOf)),
          );
        }),
      );
    },
  );

  it("leave the newest republished copy, also where an ordinary one came after it", () => {
    const first = copy();
    const fixed = copy({ shard: 1, receivedAt: 2_000, republished: true });
    const again = copy({ shard: 2, receivedAt: 3_000, republished: true });
    const straggler = copy({ shard: 3, receivedAt: 4_000 });
    expect(
      supersededCopies([straggler, again, fixed, first])
        .map(({ shard }) => shard)
        .sort(),
    ).toEqual([0, 1, 3]);
  });

  it("leave, of repeated ids, what the log took first, and at the same time the lower shard", () => {
    const at = (shard: number, committedAt: number) => ({
      ...copy({ shard, receivedAt: 9_000 - committedAt }),
      committedAt,
    });
    expect(repeatedCopies([at(0, 7), at(1, 5)]).map(({ shard }) => shard)).toEqual([0]);
    expect(repeatedCopies([at(2, 5), at(1, 5)]).map(({ shard }) => shard)).toEqual([2]);
  });
});

it("rules of retractions name each place once, within their time range", () => {
  fc.assert(
    fc.property(copies, fc.integer({ min: 1, max: 7 }), (found, most) => {
      const filters = retractions(found, most);
      expect(filters.flatMap(({ places }) => places!).length).toBe(found.length);
      for (const { from, to, places } of filters) {
        expect(places!.length).toBeLessThanOrEqual(most);
        for (const { shard, seq, event_id } of places!) {
          const times = found
            .filter((one) => one.shard === shard && one.seq === seq && one.event_id === event_id)
            .map(({ eventTime }) => eventTime);
          expect(times.some((time) => time >= from! && time < to!)).toBe(true);
        }
      }
    }),
  );
});

it("counts what was settled by day and shard, added up", () => {
  const day = 86_400_000_000;
  const counts = settledCounts([copy(), copy({ seq: 2 }), copy({ shard: 1 }), copy({ receivedAt: day })], "repeated");
  expect(counts).toEqual([
    { day: "1970-01-01", shard: 0, cause: "repeated", events: 2 },
    { day: "1970-01-01", shard: 1, cause: "repeated", events: 1 },
    { day: "1970-01-02", shard: 0, cause: "repeated", events: 1 },
  ]);
  expect(addSettled(counts, counts).map(({ events }) => events)).toEqual([4, 2, 2]);
});
