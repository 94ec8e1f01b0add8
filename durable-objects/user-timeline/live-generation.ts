/**
 * Which build of the timelines readers see: kept by one small object, which changes its mind a few times a year, and asked by
 * every isolate once in `TIMELINE.generationSeenMs`. A swap is seen that much later at most; until then the build before is
 * still there, because confirming waits longer than this before it erases.
 */
import { TIMELINE } from "../../r2-layout/limits.ts";
import type { ObjectNamespace } from "../namespace.ts";
import type { BuildsApi } from "../sink-cursor/api.ts";

/** The SinkCursor that keeps the builds of the sessions sink's store. */
export const SESSIONS_BUILDS_NAME = "sessions";

/** @param now milliseconds. @returns what to ask before each read; it remembers the answer, not the question: those belong to requests */
export function generationReader(
  cursors: ObjectNamespace<Pick<BuildsApi, "liveGeneration">>,
  now: () => number = Date.now,
): () => Promise<number> {
  let known: { readonly generation: number; readonly at: number } | null = null;
  return async () => {
    const at = now();
    if (known && at >= known.at && at - known.at < TIMELINE.generationSeenMs) return known.generation;
    const generation = await cursors.getByName(SESSIONS_BUILDS_NAME).liveGeneration();
    known = { generation, at };
    return generation;
  };
}
