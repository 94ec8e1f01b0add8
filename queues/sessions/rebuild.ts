/**
 * How a replay fills the timelines and builds them anew: all of them beside the live ones (whole-build.ts), or those that
 * a window of the log names (window-build.ts).
 */
import { SESSIONS } from "../../r2-layout/limits.ts";
import type { ReplayJob, ReplayTarget } from "../replay/target.ts";
import { fillTimelines } from "./fill.ts";
import type { BuildDeps } from "./whole-build.ts";
import { WholeBuild } from "./whole-build.ts";
import { WindowBuild } from "./window-build.ts";

/** Made for one invocation, whose calls it takes. */
export function createSessionsRebuild(deps: BuildDeps): ReplayTarget {
  const buildOf = (job: ReplayJob) =>
    job.from === null && job.to === null && job.range === null ? new WholeBuild(job, deps) : new WindowBuild(job, deps);
  return {
    sink: "sessions",
    maxEvents: SESSIONS.rebuildStepEvents,
    fill: (job, step) => fillTimelines(job, step, deps),
    plan: (job) => buildOf(job).plan(),
    add: (job, step) => buildOf(job).add(step),
    compare: (job) => buildOf(job).compare(),
    swap: (job) => buildOf(job).swap(),
    revert: (job) => buildOf(job).revert(),
    confirm: (job) => buildOf(job).confirm(),
    discard: (job) => buildOf(job).discard(),
    abandon: (job) => buildOf(job).abandon(),
  };
}
