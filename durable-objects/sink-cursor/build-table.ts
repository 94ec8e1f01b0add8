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
 *
 * Each change of a state has a number, the same order for all builds, and whoever switches a cursor names that of the state
 * in which it does so. A cursor takes no switch of an older state than the newest that it was told (cursor-table.ts):
 *
 *     a switch forward hangs; the swap is made again, then reverted; the hung one arrives     refused: the revert was here
 */
import { addColumns } from "../add-columns.ts";
import type { Build, BuildState, FedBuild } from "./api.ts";

type BuildRow = {
  job: string;
  generation: number;
  previous: number;
  state: BuildState;
  at: number;
  note: string;
  move: number;
};

/** From which states a build may come into another one. Into the one that it is in, always. */
const FROM: Readonly<Record<BuildState, readonly BuildState[]>> = {
  building: [],
  swapping: ["building"],
  swapped: ["swapping", "keeping"],
  reverting: ["swapped"],
  reverted: ["reverting"],
  confirmed: ["swapped"],
  discarding: ["swapping"],
  discarded: ["building", "swapping", "discarding"],
  keeping: ["reverting", "discarding"],
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
    addColumns(sql, "sink_build", { move: "INTEGER NOT NULL DEFAULT 0" });
    sql.exec("CREATE TABLE IF NOT EXISTS sink_build_shards (id INTEGER PRIMARY KEY, shards INTEGER NOT NULL)");
  }

  /** That of the build which came into the readers' sight last and is still there; 0 before the first. */
  live(): number {
    return this.#newest(["swapped", "reverting", "keeping", "confirmed"]);
  }

  /** That which a cursor feeds that has never moved: of a shard that a split has made, which is remembered. */
  fed(shard?: number): FedBuild {
    if (shard !== undefined && shard >= this.shardsFed()) {
      this.#sql.exec("INSERT OR REPLACE INTO sink_build_shards VALUES (0, ?)", shard + 1);
    }
    return { generation: this.#newest(["swapping", "swapped", "keeping", "confirmed"]), move: this.#moves() };
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

  /** The highest number given; 0 before the first. */
  newest(): number {
    const [last] = this.#sql.exec<{ n: number | null }>("SELECT max(generation) AS n FROM sink_build");
    return last?.n ?? 0;
  }

  build(job: string): Build | null {
    return this.#sql.exec<BuildRow>("SELECT * FROM sink_build WHERE job = ?", job).toArray()[0] ?? null;
  }

  begin(job: string, note: string, inPlace: boolean, nowMs: number): Build {
    this.#sql.exec(
      `INSERT OR IGNORE INTO sink_build (job, generation, previous, state, at, note, move)
         VALUES (?, ?, ?, 'building', ?, ?, ?)`,
      job,
      inPlace ? 0 : this.newest() + 1,
      this.live(),
      nowMs,
      note,
      this.#moves() + 1,
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
    const set = "UPDATE sink_build SET state = ?, at = ?, move = ? WHERE job = ?";
    this.#sql.exec(set, state, nowMs, this.#moves() + 1, job);
    return this.build(job)!;
  }

  #moves(): number {
    return this.#sql.exec<{ n: number | null }>("SELECT max(move) AS n FROM sink_build").one().n ?? 0;
  }
}
