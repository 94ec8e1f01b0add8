/**
 * The job that tells every shard of the list of definitions, and builds tiles anew: all of their past where they are new, or the hours
 * that a correction or a rebuild has touched. One such job at a time, oldest first.
 *
 *     announce   the shard's TileRollup learns of the list, then its MinuteRollup, which from then on names it to the sink. It answers
 *                the last seq of which the sink was told nothing: a TileRollup that has taken no batch yet begins there, and
 *                every later batch is brought to it, by whichever drain
 *     fill       window by window, the newest first, and shard by shard: `begin` says up to which seq the job has to read (the log, and the lake beyond
 *                it), live batches above it go to both (durable-objects/tile-rollup/tile-builds.ts)
 *     swap       what was built takes the live rows' place
 *
 *     crash anywhere                   every call can be made again; a step has the same number and cut (reads.ts)
 *     the object has let the build go  (another job, an object that was wiped) the window begins anew, under another name
 *     rule raised while it reads       its own hours are filled by the job that comes after it, when every cursor has passed its place
 *     a segment that nobody can read   a new tile goes without, after some attempts; hours that are filled again stay as they are in that
 *       or rows that have expired      shard, and the outcome says so
 *     tile deleted meanwhile           its object drops what comes of it
 *     shards are split meanwhile       the job covers those that there were; the cron makes another for the new ones (tiles-upkeep.ts)
 */
import type { EventLogPlacesApi } from "../../durable-objects/event-log/api.ts";
import { ALL_TIME, type MinuteRollupApi } from "../../durable-objects/minute-rollup/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { TilesSpec } from "../../durable-objects/replay-desk/api.ts";
import type { SinkCursorApi } from "../../durable-objects/sink-cursor/api.ts";
import {
  TILE_REGISTRY_NAME,
  type TileList,
  type TileRegistryApi,
  type TileRollupApi,
} from "../../durable-objects/tile-rollup/api.ts";
import { compileTile, tileDeltas } from "../../durable-objects/tile-rollup/tile-delta.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { DAY_MS, INGEST, REPLAY, TILES } from "../../r2-layout/limits.ts";
import { RowsExpired } from "../lake/read-rows.ts";
import type { Damage } from "../read-segment.ts";
import { eachShard } from "../replay/each-shard.ts";
import type { HourRange } from "../replay/hour-ranges.ts";
import { endOfPatience, leaveOutInTheEnd } from "../replay/patience.ts";
import { beginRead, type ReadState } from "../replay/reads.ts";
import { type Advance, advanceStages, lookAgain, MORE, type Slice, type StageEnd } from "../replay/slice.ts";
import type { RowSource } from "../replay/source.ts";
import type { ReplayRead, ReplayStep } from "../replay/target.ts";
import { walkReads } from "../replay/walk-reads.ts";
import { firstPlace } from "./rebuild.ts";
import { tilesName } from "./tiles.ts";

export interface TilesParts {
  readonly shards: number;
  readonly registry: ObjectNamespace<Pick<TileRegistryApi, "list" | "filled">>;
  readonly tiles: ObjectNamespace<Pick<TileRollupApi, "define" | "begin" | "add" | "swap" | "discard">>;
  readonly rollups: ObjectNamespace<Pick<MinuteRollupApi, "announce">>;
  readonly cursors: ObjectNamespace<Pick<SinkCursorApi, "status">>;
  readonly logs: ObjectNamespace<Pick<EventLogPlacesApi, "between">>;
  /** As the log has it, as far back as it goes. */
  readonly recent: RowSource;
  /** By way of the lake, which finds it by its time; all there is, though some has expired. */
  readonly past: RowSource;
  /** The same; throws RowsExpired where some has expired. */
  readonly hours: RowSource;
  /** A job of this kind that was made before this one and moves. */
  olderJob(n: number): Promise<string | null>;
}

export interface TilesProgress {
  readonly stage: "announce" | "fill" | "done";
  readonly shards: number;
  /** By shard, as `announce` answered. */
  readonly startAt: readonly number[];
  readonly tiles: readonly string[];
  readonly windows: readonly HourRange[];
  /** The window that it is at, and how often that was begun. */
  readonly n: number;
  readonly attempt: number;
  readonly reads: readonly ReadState[] | null;
  /** Shards in which the window stays as it is. */
  readonly without: readonly number[];
  /** Windows of shards that stayed as they were. */
  readonly left: number;
  /** `<shard>/<seq>` of segments that a new tile goes without, `REPLAY.uncorrectedListed` at most. */
  readonly unreadable: readonly string[];
}

const FRESH: TilesProgress = {
  ...{ stage: "announce", shards: 0, startAt: [], tiles: [], windows: [] },
  ...{ n: 0, attempt: 1, reads: null, without: [], left: 0, unreadable: [] },
};

/** The object knows no such build any more. */
class BuildGone extends Error {}
/** A shard's part of a window cannot be built without losing what is there. */
class KeepShard extends Error {
  readonly shard: number;

  constructor(shard: number) {
    super(`shard ${shard} stays as it is`);
    this.shard = shard;
  }
}

export async function advanceTiles(slice: Slice, parts: TilesParts): Promise<Advance> {
  const job = new TilesJob(slice, parts);
  if (slice.job.state === "cancelling") return job.cancel();
  const older = await parts.olderJob(slice.job.n);
  if (older !== null) {
    await slice.save({ waitsFor: `job ${older}` });
    return lookAgain;
  }
  return advanceStages(slice, () => job.stage());
}

class TilesJob {
  readonly #slice: Slice;
  readonly #parts: TilesParts;
  readonly #spec: TilesSpec;
  #now: TilesProgress;

  constructor(slice: Slice, parts: TilesParts) {
    this.#slice = slice;
    this.#parts = parts;
    this.#spec = slice.job.spec as TilesSpec;
    // What stands beside it is the driver's (stand-back.ts).
    this.#now = { ...FRESH, ...((slice.progress as Partial<TilesProgress> | null) ?? {}) };
  }

  stage(): Promise<StageEnd> {
    switch (this.#now.stage) {
      case "announce":
        return this.#announce();
      case "fill":
        return this.#fill();
      case "done":
        return this.#done();
    }
  }

  async cancel(): Promise<Advance> {
    for (const shard of this.#shards()) await this.#tile(shard).discard(this.#build());
    return { kind: "state", state: "cancelled", outcome: "cancelled" };
  }

  async #announce(): Promise<StageEnd> {
    const list = await this.#list();
    const definitions = list.records.map(({ definition }) => definition);
    const startAt = await eachShard(this.#parts.shards, async (shard) => {
      // The rows' object first: the sink must not hear of a list that it does not know.
      await this.#tile(shard).define(list.version, definitions);
      return (await this.#parts.rollups.getByName(`core:${shardName(shard)}`).announce(list.tag)).lastSeq;
    });
    const known = definitions.map(({ id }) => id);
    const tiles = this.#spec.tiles === null ? known : this.#spec.tiles.filter((id) => known.includes(id));
    const windows =
      this.#spec.windows?.map((window) => wholeDays(window, this.#slice.now())) ?? allOfThePast(this.#slice.now());
    await this.#save({
      stage: tiles.length > 0 ? "fill" : "done",
      shards: this.#parts.shards,
      startAt,
      tiles,
      windows,
    });
    return "next";
  }

  async #fill(): Promise<StageEnd> {
    if (!this.#now.windows[this.#now.n]) {
      await this.#save({ stage: "done" });
      return "next";
    }
    try {
      if (this.#now.reads === null || this.#now.reads.every(({ done }) => done)) {
        const planned = await this.#plan();
        if (planned === "wait") return lookAgain;
        if (planned.length === 0) return this.#swap();
        await this.#save({ reads: planned.map(beginRead) });
      }
      return (await this.#walk()) ? "next" : MORE;
    } catch (error) {
      if (error instanceof BuildGone) {
        await this.#save({ reads: null, attempt: this.#now.attempt + 1 });
        return MORE;
      }
      const kept = error instanceof KeepShard || error instanceof RowsExpired ? error.shard : null;
      if (kept === null) throw error;
      await this.#tile(kept).discard(this.#build());
      const reads = this.#now.reads?.filter(({ shard }) => shard !== kept) ?? null;
      await this.#save({ reads, without: [...this.#now.without, kept], left: this.#now.left + 1 });
      return "next";
    }
  }

  /** What is still to be read, as far as the sink's cursors have passed it: what lies above may be a hole that is being decided. */
  async #plan(): Promise<readonly ReplayRead[] | "wait"> {
    const window = this.#now.windows[this.#now.n]!;
    const reads: ReplayRead[] = [];
    let waits = false;
    for (const shard of this.#shards()) {
      const name = shardName(shard);
      const places = await this.#parts.logs.getByName(name).between(window.from - INGEST.futureSkewMs, ALL_TIME.to);
      const begun = await this.#tile(shard).begin({
        job: this.#build(),
        shard,
        ...window,
        tiles: this.#now.tiles,
        startAt: this.#now.startAt[shard]!,
        after: firstPlace(window, places),
      });
      const { after, upTo, step, swapped } = begun;
      if (swapped || after >= upTo) continue;
      const { cursor } = await this.#parts.cursors.getByName(`rollups:${name}`).status();
      if (cursor > after) reads.push({ shard, after, to: Math.min(upTo, cursor), steps: step, window });
      else waits = true;
    }
    if (reads.length === 0) return waits ? "wait" : [];
    const counts = await Promise.all(reads.map(({ shard, after, to }) => this.#source().count(shard, after, to)));
    this.#slice.expectMore(counts.reduce((sum, count) => sum + count, 0));
    return reads;
  }

  async #walk(): Promise<boolean> {
    const list = await this.#list();
    const wanted = new Set(this.#now.tiles);
    const tiles = list.records
      .filter(({ definition }) => wanted.has(definition.id))
      .map(({ definition }) => compileTile(definition));
    const { done } = await walkReads(this.#slice, this.#source(), this.#now.reads!, {
      sink: "rollups",
      maxEvents: TILES.stepEvents,
      apply: async ({ shard, step, to, events }: ReplayStep) => {
        if ((await this.#tile(shard).add(this.#build(), { step, to }, tileDeltas(tiles, events))) === null)
          throw new BuildGone();
      },
      onDamage: async (shard, damage: Damage) => {
        if (this.#spec.windows === null) {
          const part = await leaveOutInTheEnd(this.#slice)(shard, damage);
          this.#note(`${shard}/${damage.ref.seq}`);
          return part;
        }
        endOfPatience(this.#slice, damage);
        throw new KeepShard(shard);
      },
      save: (reads) => this.#save({ reads }),
    });
    return done;
  }

  async #swap(): Promise<StageEnd> {
    for (const shard of this.#shards()) {
      if ((await this.#tile(shard).swap(this.#build())) === null) throw new BuildGone();
    }
    // How far it is, is said of one window.
    this.#slice.recount();
    await this.#save({ n: this.#now.n + 1, attempt: 1, reads: null, without: [] });
    return "next";
  }

  async #done(): Promise<StageEnd> {
    const { tiles, shards, left, unreadable } = this.#now;
    if (this.#spec.windows === null) {
      await this.#parts.registry.getByName(TILE_REGISTRY_NAME).filled(tiles, this.#slice.job.id, shards);
    }
    this.#slice.allRead();
    await this.#save({});
    const kept = left > 0 ? `, ${left} windows of a shard stay as they were: what they need cannot be read` : "";
    const lost = unreadable.length > 0 ? `, without segments that cannot be read: ${unreadable.join(", ")}` : "";
    return { kind: "state", state: "done", outcome: `${tiles.length} custom rollups${kept}${lost}` };
  }

  /** Saved with what is saved next. Twice is once. */
  #note(place: string): void {
    const { unreadable } = this.#now;
    if (unreadable.includes(place) || unreadable.length >= REPLAY.uncorrectedListed) return;
    this.#now = { ...this.#now, unreadable: [...unreadable, place] };
  }

  /** Those that the window is built in. */
  #shards(): number[] {
    const all = Array.from({ length: this.#now.shards }, (_, shard) => shard);
    return all.filter((shard) => shard >= this.#spec.firstShard && !this.#now.without.includes(shard));
  }

  #build(): string {
    return `${this.#slice.job.id}-w${this.#now.n}-${this.#now.attempt}`;
  }

  #source(): RowSource {
    if (this.#spec.windows !== null) return this.#parts.hours;
    return this.#now.n === 0 ? this.#parts.recent : this.#parts.past;
  }

  #tile(shard: number) {
    return this.#parts.tiles.getByName(tilesName(shard));
  }

  #list(): Promise<TileList> {
    return this.#parts.registry.getByName(TILE_REGISTRY_NAME).list();
  }

  async #save(change: Partial<TilesProgress>): Promise<void> {
    this.#now = { ...this.#now, ...change };
    await this.#slice.save({ progress: this.#now });
  }
}

/** Whole days, newest first: what screens show of the last hours and of a month is there before what is years old. */
function allOfThePast(now: number): HourRange[] {
  const today = now - (now % DAY_MS);
  const [days, month] = [today - 2 * DAY_MS, today - TILES.hoursKeptMs - DAY_MS];
  return [
    { from: days, to: ALL_TIME.to },
    { from: month, to: days },
    { from: ALL_TIME.from, to: month },
  ];
}

/** A day whose hours are not all kept any more is built whole: it could not be added up. */
function wholeDays({ from, to }: HourRange, now: number): HourRange {
  const kept = now - TILES.hoursKeptMs + 2 * DAY_MS;
  const day = (ms: number) => Math.floor(ms / DAY_MS) * DAY_MS;
  return { from: from < kept ? day(from) : from, to: to < kept ? day(to + DAY_MS - 1) : to };
}
