/** The consumers of the log, by name: a cursor, a queue and a folder each. */
export const SINKS = ["lake", "sessions", "rollups"] as const;
export type SinkName = (typeof SINKS)[number];
