/**
 * How long the system itself waits: between wake-ups, for a lease, before a retry. A local run may scale all of these by
 * one factor (EVENTPILE_WAIT_FACTOR, put in by its bundle), so that what takes a minute in production takes a second in a
 * test of what happens then. Calendar units (a minute of the rollups, a day of the lake, the dedup window) are no waits.
 */
declare const EVENTPILE_WAIT_FACTOR: number | undefined;

/** 1 wherever nothing was put in: deployed bundles, Node, unit tests. */
const factor = typeof EVENTPILE_WAIT_FACTOR === "number" ? EVENTPILE_WAIT_FACTOR : 1;

/** Milliseconds, scaled; at least one where there is any, so that a wait never becomes a loop without a pause. */
export const wait = (ms: number): number => (ms === 0 ? 0 : Math.max(1, Math.round(ms * factor)));
