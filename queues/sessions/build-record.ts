/** The record of one job's build of the timelines, beside those of all others (durable-objects/sink-cursor/build-table.ts). */
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { Build, BuildState, BuildsApi } from "../../durable-objects/sink-cursor/api.ts";
import { SESSIONS_BUILDS_NAME } from "../../durable-objects/user-timeline/live-generation.ts";
import type { CallBudget } from "../sink.ts";

export class BuildRecord {
  readonly #job: string;
  readonly #builds: BuildsApi;
  readonly #calls: CallBudget;

  constructor(job: string, cursors: ObjectNamespace<BuildsApi>, calls: CallBudget) {
    this.#job = job;
    this.#builds = cursors.getByName(SESSIONS_BUILDS_NAME);
    this.#calls = calls;
  }

  /** Null before it began. */
  read(): Promise<Build | null> {
    this.#calls.left--;
    return this.#builds.build(this.#job);
  }

  /** As of `BuildsApi.beginBuild`. */
  begin(note: string, inPlace = false): Promise<Build> {
    this.#calls.left--;
    return this.#builds.beginBuild(this.#job, note, inPlace);
  }

  /** @throws RangeError where its state does not lead to this one, or it never began */
  move(state: BuildState): Promise<Build> {
    this.#calls.left--;
    return this.#builds.moveBuild(this.#job, state);
  }

  /** As of `BuildsApi.shardsFed`. */
  shardsFed(): Promise<number> {
    this.#calls.left--;
    return this.#builds.shardsFed();
  }
}
