/**
 * The builds of a sink's store, and which of them readers see. It stands in one SinkCursor object, named by the sink alone:
 * the cursors switch shard by shard, and the readers follow when all have.
 *
 * A generation's number is never given twice: what a build that was let go has left behind can then not be found again.
 *
 * Cursors of shards that a split makes while a build is swapped in, by a Worker that may not know of the split:
 *
 *     the cursor asks, then the state becomes "swapping"     its shard is remembered: the swap finds it and moves its cursor
 *     the state becomes "swapping", then the cursor asks     it is told the new generation
 */
import type { Build, BuildState } from "./api.ts";

type BuildRow = { job: string; generation: number; previous: number; state: BuildState; at: number; note: string };

/** From which states a build may come into another one. Into the one that it is in, always. */
const FROM: Readonly<Record<BuildState, readonly BuildState[]>> = {
  building: [],
  swapping: ["building"],
  swapped: ["swapping", "reverting"],
  reverting: ["swapped"],
  reverted: ["reverting"],
  confirmed: ["swapped"],
  discarded: ["building", "swapping"],
};

export class BuildTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`CREATE TABLE IF NOT EXISTS sink_build (
      job TEXT PRIMARY KEY,
      generation INTEGER NOT NULL,
      previous INTEGER NOT NULL,
      state TEXT NOT NULL,
      at INTEGER NOT NULL,
      note TEXT NOT NULL)`);
    sql.exec("CREATE TABLE IF NOT EXISTS sink_build_shards (id INTEGER PRIMARY KEY, shards INTEGER NOT NULL)");
  }

  /** That of the build which came into the readers' sight last and is still there; 0 before the first. */
  live(): number {
    return this.#newest(["swapped", "reverting", "confirmed"]);
  }

  /** That which a cursor feeds that has never moved: of a shard that a split has made, which is remembered. */
  fed(shard?: number): number {
    if (shard !== undefined && shard >= this.shardsFed()) {
      this.#sql.exec("INSERT OR REPLACE INTO sink_build_shards VALUES (0, ?)", shard + 1);
    }
    return this.#newest(["swapping", "swapped", "confirmed"]);
  }

  /** One more than the highest shard that has asked. */
  shardsFed(): number {
    return this.#sql.exec<{ shards: number }>("SELECT shards FROM sink_build_shards").toArray()[0]?.shards ?? 0;
  }

  #newest(states: readonly BuildState[]): number {
    let newest = 0;
    for (const { state, generation } of this.#sql.exec<BuildRow>("SELECT * FROM sink_build ORDER BY generation")) {
      if (states.includes(state)) newest = Math.max(newest, generation);
    }
    return newest;
  }

  build(job: string): Build | null {
    return this.#sql.exec<BuildRow>("SELECT * FROM sink_build WHERE job = ?", job).toArray()[0] ?? null;
  }

  begin(job: string, note: string, inPlace: boolean, nowMs: number): Build {
    const [last] = this.#sql.exec<{ n: number | null }>("SELECT max(generation) AS n FROM sink_build");
    this.#sql.exec(
      "INSERT OR IGNORE INTO sink_build VALUES (?, ?, ?, 'building', ?, ?)",
      job,
      inPlace ? 0 : (last?.n ?? 0) + 1,
      this.live(),
      nowMs,
      note,
    );
    return this.build(job)!;
  }

  /** @throws RangeError where the build is not there, or its state does not lead to this one */
  move(job: string, state: BuildState, nowMs: number): Build {
    const build = this.build(job);
    if (!build) throw new RangeError(`there is no build of ${job}`);
    if (build.state === state) return build;
    if (!FROM[state].includes(build.state)) {
      throw new RangeError(`the build of ${job} is ${build.state} and cannot be ${state}`);
    }
    this.#sql.exec("UPDATE sink_build SET state = ?, at = ? WHERE job = ?", state, nowMs, job);
    return this.build(job)!;
  }
}
