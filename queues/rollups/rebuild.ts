/**
 * Rollups by replay: what an object lacks is applied to it, and a window of event_time is built anew beside the live rows
 * (durable-objects/minute-rollup/rebuilds.ts has the protocol and its interleavings).
 *
 * A window is read from the log's first place that may hold an event of it: an event is at most `INGEST.futureSkewMs` ahead of its receipt, and may be
 * late by any time, so the end is the object's own place. Seqs below the oldest that the log has are read from the lake by the driver.
 */
import type { EventLogPlacesApi, EventLogRulesApi } from "../../durable-objects/event-log/api.ts";
import {
  ALL_TIME,
  type MinuteRebuildApi,
  type MinuteRollupApi,
  type RebuildComparison,
  type RebuildWindow,
} from "../../durable-objects/minute-rollup/api.ts";
import { minuteDeltas } from "../../durable-objects/minute-rollup/minute-delta.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { SinkCursorApi } from "../../durable-objects/sink-cursor/api.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { HOUR_MS, INGEST, ROLLUP } from "../../r2-layout/limits.ts";
import { MICROS_PER_MS } from "../../r2-layout/time.ts";
import type { ReplayComparison, ReplayJob, ReplayRead, ReplayTarget } from "../replay/target.ts";
import { applyStep } from "./sink.ts";

export interface RollupsRebuildDeps {
  readonly rollups: ObjectNamespace<Pick<MinuteRollupApi, "apply" | "status"> & MinuteRebuildApi>;
  readonly cursors: ObjectNamespace<Pick<SinkCursorApi, "status">>;
  readonly logs: ObjectNamespace<Pick<EventLogPlacesApi, "between"> & Pick<EventLogRulesApi, "rules">>;
}

export interface RollupsRebuildOptions {
  /** What the records of changed minutes say. */
  readonly reason?: "correction" | "rebuild";
  /** Only these shards: the others have nothing to change. */
  readonly shards?: readonly number[];
}

/** Calls to objects under way at once: the platform's connections. */
const CALLS_AT_ONCE = 6;

export function createRollupsRebuild(
  { rollups, cursors, logs }: RollupsRebuildDeps,
  { reason = "rebuild", shards }: RollupsRebuildOptions = {},
): ReplayTarget {
  const rollup = (shard: number) => rollups.getByName(`core:${shardName(shard)}`);
  const cursorOf = async (shard: number) => (await cursors.getByName(`rollups:${shardName(shard)}`).status()).cursor;
  const shardsOf = (job: ReplayJob) => shards ?? Array.from({ length: job.shards }, (_, shard) => shard);
  const everywhere = async (job: ReplayJob, call: (target: MinuteRebuildApi) => Promise<void>): Promise<void> => {
    await atOnce(shardsOf(job), (shard) => call(rollup(shard)));
  };

  /** The newest version that a log has: one of a shard that a split has just made learns of them with its first commit. */
  async function rulesOf(job: ReplayJob): Promise<number> {
    const all = await atOnce(shardsOf(job), (shard) => logs.getByName(shardName(shard)).rules());
    return Math.max(0, ...all.map(({ version }) => version));
  }

  async function begin(job: ReplayJob, window: Pick<RebuildWindow, "from" | "to">, version: number, shard: number) {
    // First the cursor, then the object: it moves before its cursor does, so that it is behind only where it has lost something.
    const cursor = await cursorOf(shard);
    const places = await logs.getByName(shardName(shard)).between(window.from - INGEST.futureSkewMs, ALL_TIME.to);
    // An object that was wiped has forgotten it, one of a new shard would take it from its first batch: too late for a build begun without.
    await rollup(shard).raise(version);
    const begun = await rollup(shard).begin({
      job: job.id,
      shard,
      ...window,
      cursor,
      after: firstPlace(window, places),
    });
    return { shard, ...begun };
  }

  /**
   * The part of it that the sink's cursor has passed: what lies above was applied a moment ago, or is a hole that was decided
   * and is not known as one before the cursor is there.
   * @throws Error while nothing else is left to read
   */
  async function passed(read: ReplayRead): Promise<ReplayRead> {
    const cursor = await cursorOf(read.shard);
    if (cursor >= read.to) return read;
    if (cursor > read.after) return { ...read, to: cursor };
    throw new Error(`the cursor of shard ${read.shard} is at ${cursor}, behind its rollups at ${read.to}`);
  }

  return {
    sink: "rollups",
    maxEvents: ROLLUP.rebuildStepEvents,

    /** Whole segments only, in their order: an object that lost rows takes them up again where it stands. */
    async fill(job, step) {
      const { shard, from } = step;
      const [cursor, { lastSeq }] = await Promise.all([cursorOf(shard), rollup(shard).status()]);
      // What is above the cursor comes live, or is a hole that it has yet to pass.
      const to = Math.min(step.to, cursor);
      if (lastSeq >= to) return 0;
      if (job.from !== null || job.to !== null || from > lastSeq) {
        throw new RangeError(
          `the rollups of shard ${shard} have lost what is above seq ${lastSeq}: fill from there on, or rebuild, without from and to`,
        );
      }
      const events = step.events.filter(({ log_seq }) => log_seq > lastSeq && log_seq <= to);
      await applyStep(rollup(shard), { shard, from: lastSeq, to, events, rules: step.rules, completeUntil: 0 });
      return events.length;
    },

    async plan(job) {
      const window = windowOf(job);
      const version = await rulesOf(job);
      const begun = await atOnce(shardsOf(job), (shard) => begin(job, window, version, shard));
      return atOnce(
        begun.filter(({ after, upTo }) => after < upTo),
        ({ shard, after, upTo, step }) => passed({ shard, after, to: upTo, steps: step, window }),
      );
    },

    async add(job, { shard, step, to, rules, events }) {
      const window = windowOf(job);
      const [from, until] = [window.from * MICROS_PER_MS, window.to * MICROS_PER_MS];
      const inside = events.filter(({ event_time }) => event_time >= from && event_time < until);
      await rollup(shard).add(job.id, { step, to, rules }, minuteDeltas(inside));
    },

    async compare(job) {
      const found = await atOnce(shardsOf(job), async (shard) => ({ shard, ...(await rollup(shard).compare(job.id)) }));
      return joinComparisons(found);
    },

    swap: (job) => everywhere(job, (target) => target.swap(job.id, reason)),
    revert: (job) => everywhere(job, (target) => target.revert(job.id)),
    async confirm(job) {
      await everywhere(job, (target) => target.confirm(job.id));
      return "done";
    },
    async discard(job) {
      await everywhere(job, (target) => target.discard(job.id));
      return "done";
    },
    async abandon(job) {
      const swapped = await atOnce(shardsOf(job), (shard) => rollup(shard).abandon(job.id));
      return swapped.some(Boolean) ? "built" : "before";
    },
  };
}

/** @throws RangeError for a part of the log: an hour's events may stand anywhere in it. */
function windowOf({ from, to, range }: ReplayJob): { from: number; to: number } {
  if (range) throw new RangeError("rollups are rebuilt by time, not by seq");
  return {
    from: from === null ? ALL_TIME.from : Math.floor(from / HOUR_MS) * HOUR_MS,
    to: to === null ? ALL_TIME.to : Math.ceil(to / HOUR_MS) * HOUR_MS,
  };
}

/** The seq before the first that may hold an event of the window. */
export function firstPlace(
  { from }: { readonly from: number },
  { oldest, head, range }: Awaited<ReturnType<EventLogPlacesApi["between"]>>,
): number {
  if (from === ALL_TIME.from) return 0;
  // The log no longer knows when earlier segments were received.
  if (range ? range.from <= oldest : oldest > head) return 0;
  return range ? range.from - 1 : head;
}

function joinComparisons(found: readonly (RebuildComparison & { readonly shard: number })[]): ReplayComparison {
  const sum = (of: (one: RebuildComparison) => number) => found.reduce((total, one) => total + of(one), 0);
  const differences = found.flatMap(({ shard, minutes }) =>
    minutes.map(
      ({ start, before, after }) =>
        `${new Date(start).toISOString()} in shard ${shard}: ${before === after ? `${before} events, other values` : `${before} events, now ${after}`}`,
    ),
  );
  const different = sum((one) => one.different);
  const more = different - Math.min(differences.length, ROLLUP.differencesListed);
  return {
    identical: different === 0,
    before: sum((one) => one.eventsBefore),
    after: sum((one) => one.eventsAfter),
    differences: [...differences.slice(0, ROLLUP.differencesListed), ...(more > 0 ? [`and ${more} more`] : [])],
  };
}

/** @throws the first failure, once all that was started has ended. */
async function atOnce<T, Result>(items: readonly T[], work: (item: T) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = [];
  for (let first = 0; first < items.length; first += CALLS_AT_ONCE) {
    const settled = await Promise.allSettled(items.slice(first, first + CALLS_AT_ONCE).map(work));
    for (const one of settled) {
      if (one.status === "rejected") throw one.reason;
      results.push(one.value);
    }
  }
  return results;
}
