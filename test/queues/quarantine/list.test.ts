import fc from "fast-check";
import { encodeTime } from "ulidx";
import { describe, expect, it } from "vitest";
import type { HolesRequest, RecordedHole } from "../../../durable-objects/sink-cursor/api.ts";
import { holeEntryId, messageEntryId } from "../../../queues/quarantine/entry.ts";
import {
  listQuarantine,
  type ObjectLister,
  type PagePlace,
  type QuarantineDeps,
} from "../../../queues/quarantine/list.ts";
import { poisonKey, shardName } from "../../../r2-layout/keys.ts";
import { DAY_MS, QUARANTINE } from "../../../r2-layout/limits.ts";
import { SINKS } from "../../../r2-layout/sinks.ts";

const START = Date.UTC(2026, 10, 20);

interface Parked {
  readonly at: number;
  readonly redriven: boolean;
}

const keyOf = ({ at }: Parked, i: number) =>
  poisonKey({
    atMs: START + at,
    queue: "events-0",
    ulid: `${encodeTime(START + at, 10)}${String(i).padStart(16, "0")}`,
  });

/** R2, as far as a listing goes: pages of `size`. */
function bucketOf(parked: readonly Parked[], size: number): { bucket: ObjectLister; listed: () => number } {
  const objects = parked
    .map((one, i) => ({
      key: keyOf(one, i),
      size: 1,
      customMetadata: { cause: "c", detail: "", message: "m", ...(one.redriven && { redriven_at: "2026" }) },
    }))
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  let listed = 0;
  const bucket: ObjectLister = {
    async list({ prefix, delimiter, startAfter = "", cursor = "" }) {
      const keys = objects.filter(({ key }) => key.startsWith(prefix));
      if (delimiter) {
        const days = [...new Set(keys.map(({ key }) => key.slice(0, key.indexOf("/", prefix.length) + 1)))].sort();
        const page = days.filter((day) => day > cursor).slice(0, size);
        const truncated = page.length > 0 && page.at(-1) !== days.at(-1);
        return { objects: [], delimitedPrefixes: page, truncated, ...(truncated && { cursor: page.at(-1)! }) };
      }
      const rest = keys.filter(({ key }) => key > startAfter && key > cursor);
      const page = rest.slice(0, size);
      listed += page.length;
      const truncated = rest.length > page.length;
      return { objects: page, delimitedPrefixes: [], truncated, ...(truncated && { cursor: page.at(-1)!.key }) };
    },
  };
  return { bucket, listed: () => listed };
}

interface TestHole extends Parked {
  readonly sink: number;
  readonly shard: number;
}

/** Cursors' holes; `old` ones are of a version that knew no `before`. */
function holesOf(holes: readonly TestHole[], old = false): Pick<QuarantineDeps, "cursors" | "catalog"> {
  const of = (sink: string, shard: number, { until, before, limit = 1_000, open }: HolesRequest) =>
    holes
      .map((hole, i) => ({ ...hole, at: START + hole.at, seq: i + 1 }))
      .filter((hole) => SINKS[hole.sink] === sink && hole.shard === shard)
      .filter(({ at }) => until === undefined || at <= until)
      .filter(({ at, seq }) => !before || old || at < before.at || (at === before.at && seq < before.seq))
      .filter(({ redriven }) => !open || !redriven)
      .sort((a, b) => b.at - a.at || b.seq - a.seq)
      .slice(0, limit)
      .map(({ at, seq, redriven }) => ({ shard, seq, at, redrivenAs: redriven ? 9 : null }) as RecordedHole);
  return {
    catalog: { holes: async (shard, request = {}) => of("lake", shard, request) },
    cursors: {
      getByName: (name) => ({
        holes: async (shard, request = {}) => {
          expect(name.endsWith(`:${shardName(shard)}`)).toBe(true);
          return of(name.split(":")[0]!, shard, request);
        },
      }),
    },
  };
}

/** Days and single milliseconds, many of which are the same. */
const when = fc.tuple(fc.nat(4), fc.oneof(fc.nat(2), fc.nat(DAY_MS - 1))).map(([days, ms]) => days * DAY_MS + ms);
const parked = fc.record({ at: when, redriven: fc.boolean() });
const hole = fc.record({ at: when, redriven: fc.boolean(), sink: fc.nat(2), shard: fc.nat(1) });
const states = ["open", "redriven", "all"] as const;

interface Walk {
  readonly limit: number;
  readonly state: (typeof states)[number];
}

/** @returns ids and times of all pages' entries, in their order */
async function walk(deps: QuarantineDeps, { limit, state }: Walk): Promise<{ id: string; at: string }[]> {
  const seen: { id: string; at: string }[] = [];
  let after: PagePlace | null = null;
  for (let pages = 0; pages < 200; pages++) {
    const page = await listQuarantine(deps, { state, kind: null, limit, after });
    expect(page.entries.length).toBeLessThanOrEqual(limit);
    seen.push(...page.entries.map(({ id, at }) => ({ id, at })));
    after = page.next;
    if (!after) break;
  }
  expect(after).toBeNull();
  return seen;
}

/** One after another in a millisecond: the cursor's answer ends among them. */
const tied = Array.from({ length: 9 }, () => ({ at: 5, redriven: false, sink: 0, shard: 0 }));
/** Five that do not fit the filter, in front of the one that does. */
const behind = [0, 1, 2, 3, 4, 5].map((at) => ({ at, redriven: at === 0, sink: 1, shard: 1 }));

describe("the quarantine's pages", () => {
  it("give each entry of a state once, newest first, however they are cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(parked, { maxLength: 30 }),
        fc.array(hole, { maxLength: 30 }),
        fc.integer({ min: 1, max: 7 }),
        fc.integer({ min: 1, max: 9 }),
        fc.constantFrom(...states),
        async (messages, holes, limit, size, state) => {
          const deps = { ...bucketOf(messages, size), ...holesOf(holes), shards: 2 };
          const seen = await walk(deps, { limit, state });
          const fits = ({ redriven }: Parked) => state === "all" || redriven === (state === "redriven");
          const ids = [
            ...messages.flatMap((one, i) => (fits(one) ? [messageEntryId(keyOf(one, i))] : [])),
            ...holes.flatMap((one, i) =>
              fits(one) ? [holeEntryId({ sink: SINKS[one.sink]!, shard: one.shard, seq: i + 1 })] : [],
            ),
          ];
          expect(seen.map(({ id }) => id).sort()).toEqual(ids.sort());
          const times = seen.map(({ at }) => at);
          expect(times).toEqual([...times].sort().reverse());
        },
      ),
      {
        numRuns: 100,
        examples: [
          [[], tied, 1, 1, "open"],
          [[], behind, 1, 1, "redriven"],
        ],
      },
    );
  });

  it("come to an end where the cursors are of a version that cannot go on within a millisecond", async () => {
    const deps = { ...bucketOf([], 1), ...holesOf(tied, true), shards: 2 };
    expect(await walk(deps, { limit: 10, state: "open" })).toHaveLength(9);
    const ids = (await walk(deps, { limit: 1, state: "open" })).map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("promise 9: look at QUARANTINE.objectsPerPage objects at most, and go on from there", async () => {
    const many = Array.from({ length: QUARANTINE.objectsPerPage + 1 }, (_, at) => ({ at, redriven: at > 0 }));
    const { bucket } = bucketOf(many, 1_000);
    const deps = { bucket, ...holesOf([]), shards: 1 };
    const request = { state: "open", kind: "message", limit: 10 } as const;
    const first = await listQuarantine(deps, { ...request, after: null });
    expect([first.entries.length, first.next === null]).toEqual([0, false]);
    const second = await listQuarantine(deps, { ...request, after: first.next });
    expect([second.entries.map(({ at }) => at), second.next]).toEqual([[new Date(START).toISOString()], null]);
    const { bucket: fewer } = bucketOf(many.slice(0, QUARANTINE.objectsPerPage), 1_000);
    const whole = await listQuarantine({ ...deps, bucket: fewer }, { ...request, after: null });
    expect([whole.entries.length, whole.next]).toEqual([1, null]);
  });
});
