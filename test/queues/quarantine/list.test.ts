import fc from "fast-check";
import { encodeTime } from "ulidx";
import { describe, expect, it } from "vitest";
import type { HolesRequest, RecordedHole } from "../../../durable-objects/sink-cursor/api.ts";
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

function holesOf(holes: readonly TestHole[]): Pick<QuarantineDeps, "cursors" | "catalog"> {
  const of = (sink: string, shard: number, { until = Number.MAX_SAFE_INTEGER, limit = 1_000, open }: HolesRequest) =>
    holes
      .map((hole, i) => ({ ...hole, seq: i + 1 }))
      .filter((hole) => SINKS[hole.sink] === sink && hole.shard === shard && START + hole.at <= until)
      .filter(({ redriven }) => !open || !redriven)
      .sort((a, b) => b.at - a.at || b.seq - a.seq)
      .slice(0, limit)
      .map(
        ({ at, seq, redriven }) => ({ shard, seq, at: START + at, redrivenAs: redriven ? 9 : null }) as RecordedHole,
      );
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

const when = fc.integer({ min: 0, max: 4 * DAY_MS });
const parked = fc.record({ at: when, redriven: fc.boolean() });
const hole = fc.record({ at: when, redriven: fc.boolean(), sink: fc.nat(2), shard: fc.nat(1) });

describe("the quarantine's pages", () => {
  it("give each entry of a state once, newest first, however they are cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(parked, { selector: ({ at }) => at, maxLength: 30 }),
        fc.uniqueArray(hole, { selector: ({ at }) => at, maxLength: 12 }),
        fc.integer({ min: 1, max: 7 }),
        fc.integer({ min: 1, max: 9 }),
        fc.constantFrom("open" as const, "redriven" as const, "all" as const),
        async (messages, holes, limit, size, state) => {
          const deps = { ...bucketOf(messages, size), ...holesOf(holes), shards: 2 };
          const seen: string[] = [];
          let after: PagePlace | null = null;
          for (let pages = 0; pages < 200; pages++) {
            const page = await listQuarantine(deps, { state, kind: null, limit, after });
            expect(page.entries.length).toBeLessThanOrEqual(limit);
            seen.push(...page.entries.map(({ at }) => at));
            after = page.next;
            if (!after) break;
          }
          expect(after).toBeNull();
          const fits = ({ redriven }: Parked) => state === "all" || redriven === (state === "redriven");
          const expected = [...messages, ...holes].filter(fits).map(({ at }) => new Date(START + at).toISOString());
          expect(seen).toEqual(expected.sort().reverse());
        },
      ),
      { numRuns: 60 },
    );
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
