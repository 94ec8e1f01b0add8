import fc from "fast-check";
import { expect, it } from "vitest";
import { asTheSinkHasThem } from "../../../queues/replay/lake-places.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";

type Store = "own" | "lake";
/** Lines by the numbers of their events; a redrive is for one store. */
interface Segment {
  readonly lines: readonly number[];
  readonly store: Store | null;
}

const rowOf = (event: number, seq: number): EventRow =>
  ({
    source: "shop",
    event_id: `e-${event}`,
    event_time: event * 1_000_000,
    log_shard: 0,
    log_seq: seq,
  }) as unknown as EventRow;

/** A log and what two stores left out of it; all of it came back, some of it more than once. */
function logOf(sizes: readonly number[], holes: readonly { store: Store; of: number; lines: number }[]) {
  let events = 0;
  const segments: Segment[] = sizes.map((size) => ({
    lines: Array.from({ length: size }, () => ++events),
    store: null,
  }));
  const back: Record<Store, { seq: number; redrivenAs: number }[]> = { own: [], lake: [] };
  for (const { store, of, lines } of holes) {
    const seq = (of % segments.length) + 1;
    const segment = segments[seq - 1]!;
    const isOurs = segment.store === null || segment.store === store;
    if (!isOurs || back[store].some((hole) => hole.seq === seq)) continue;
    const left = segment.lines.filter((_, line) => ((lines >> line) & 1) === 1);
    if (left.length === 0) continue;
    segments.push({ lines: left, store });
    back[store].push({ seq, redrivenAs: segments.length });
  }
  const first = (event: number) => segments.findIndex(({ lines }) => lines.includes(event)) + 1;
  /** Where a store has each event: in the last segment for it that has it. */
  const placeOf = (store: Store, event: number) =>
    segments.findLastIndex((one) => one.lines.includes(event) && (one.store === null || one.store === store)) + 1;
  const all = Array.from({ length: events }, (_, i) => i + 1);
  return { segments, back, all, first, placeOf };
}

const cases = fc.record({
  sizes: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 6 }),
  holes: fc.array(
    fc.record({ store: fc.constantFrom<Store>("own", "lake"), of: fc.nat(20), lines: fc.integer({ min: 1, max: 15 }) }),
    { maxLength: 8 },
  ),
  oldest: fc.double({ min: 0, max: 1, noNaN: true }),
  until: fc.double({ min: 0, max: 1, noNaN: true }),
  step: fc.integer({ min: 1, max: 5 }),
});

it("promise 4: who reads some of a shard from the lake and the rest from the log has each event once, where the log has it", async () => {
  let differed = 0;
  await fc.assert(
    fc.asyncProperty(cases, async ({ sizes, holes, oldest: share, until: reach, step }) => {
      const { segments, back, all, first, placeOf } = logOf(sizes, holes);
      const head = segments.length;
      const oldest = 1 + Math.floor(share * head);
      const until = oldest - 1 + Math.floor(reach * (head - oldest + 1));
      const rowsOf = async (seq: number) =>
        segments[seq - 1]!.lines.map((event) => ({ was: rowOf(event, first(event)), is: rowOf(event, first(event)) }));
      const found: EventRow[] = [];
      for (let from = 0; from < until; from += step) {
        const to = Math.min(until, from + step);
        const events = all.map((event) => rowOf(event, placeOf("lake", event)));
        const part = { from, to, events: events.filter(({ log_seq: seq }) => seq > from && seq <= to) };
        found.push(...(await asTheSinkHasThem(part, { ...back, oldest }, rowsOf)));
      }
      const lake = found.length;
      for (const event of all) if (placeOf("own", event) > until) found.push(rowOf(event, placeOf("own", event)));
      const byId = Map.groupBy(found, ({ event_id }) => event_id);
      for (const event of all) {
        const rows = byId.get(`e-${event}`) ?? [];
        expect(rows).toHaveLength(1);
        // Places that the log has forgotten are nobody's any more.
        const place = placeOf("own", event);
        if (place >= oldest) expect(rows[0]!.log_seq).toBe(place);
      }
      const plain = all.filter((event) => placeOf("lake", event) <= until).length;
      if (plain !== lake) differed++;
    }),
    {
      numRuns: 500,
      // The lake has segment 1 at 3, the sink at 4, and the log begins between the two.
      examples: [
        [
          {
            sizes: [2, 1],
            holes: [
              { store: "lake", of: 0, lines: 3 },
              { store: "own", of: 0, lines: 3 },
            ],
            oldest: 0.75,
            until: 0,
            step: 5,
          },
        ],
      ],
    },
  );
  expect(differed).toBeGreaterThan(0);
});

it("gives of a redrive what is in the window, and what no rule has retracted", async () => {
  const rowsOf = async () => [
    { was: rowOf(1, 1), is: { ...rowOf(1, 1), country: "AT" } },
    { was: rowOf(2, 1), is: null },
    { was: rowOf(9, 1), is: rowOf(9, 1) },
  ];
  const holes = { own: [], lake: [{ seq: 1, redrivenAs: 3 }], oldest: 2 };
  const window = { from: 0, to: 5_000 };
  const rows = await asTheSinkHasThem({ from: 0, to: 1, window, events: [] }, holes, rowsOf);
  expect(rows).toEqual([{ ...rowOf(1, 1), country: "AT" }]);
});
