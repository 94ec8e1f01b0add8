/**
 * Every bound of the system, with its unit and its reason (promise 9). A bound is a name here and nowhere else;
 * the platform's own limits stand apart, because we obey them and do not choose them.
 */

export const KiB = 1_024;
export const MiB = 1_024 * KiB;
export const SECOND_MS = 1_000;
export const MINUTE_MS = 60 * SECOND_MS;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

/** Cloudflare's limits, as documented. Local and test runs enforce them (scripts/local). */
export const PLATFORM = {
  queueMessageBytes: 128_000,
  queueSendBatchMessages: 100,
  queueSendBatchBytes: 256_000,
  queueMessagesPerSecond: 5_000,
  queueConsumerBatchMessages: 100,
  subrequests: 10_000,
  simultaneousConnections: 6,
  rpcBytes: 32 * MiB,
  sqliteRowBytes: 2_000_000,
  sqliteBoundParameters: 100,
  isolateBytes: 128 * MiB,
} as const;

export const INGEST = {
  /** Compressed or plain bytes read from a request. Segment's own limit is 500 kB a batch; NDJSON may be larger. */
  bodyBytes: 4 * MiB,
  /** Bytes after inflating: bounds a gzip bomb. */
  inflatedBytes: 16 * MiB,
  /** Events in one request: its outcomes and its messages stay within one invocation. */
  eventsPerRequest: 10_000,
  /** One event's JSON, as Segment limits it. */
  eventBytes: 32 * KiB,
  /** Nesting of one event's JSON: deeper is hostile. */
  jsonDepth: 32,
  /** Properties of one event; more are kept in raw and counted, not mapped. */
  propertiesPerEvent: 500,
  /** One property value, in bytes of its text. */
  propertyValueBytes: 8 * KiB,
  /** Characters of an event id; longer ids are refused, a cut id would merge events. */
  eventIdChars: 100,
  /** One queue message, with room for framing below the platform's 128 kB. */
  messageBytes: 120_000,
  /** Sender clocks: an event further ahead than this, or before `oldestEventTimeMs`, is clamped and flagged. */
  futureSkewMs: DAY_MS,
  oldestEventTimeMs: Date.UTC(2000, 0, 1),
  /** An event received this long after it happened is flagged `late`. */
  lateAfterMs: HOUR_MS,
  retryAfterSeconds: 5,
} as const;

export const LOG = {
  /** Dedup window: the age of an id after which its repeat counts anew. */
  dedupWindowMs: 7 * DAY_MS,
  /** A commit refuses a segment written longer ago than this, because the sweep may be near. */
  staleSegmentMs: HOUR_MS,
  /** Objects that no row names are deleted once this old. */
  orphanGraceMs: 24 * HOUR_MS,
  /** One SQLite row of packed ids (64 kB of 16 bytes). */
  idsPerRow: 4_096,
  /** Packed ids held in memory by one object; older runs are probed in SQLite. */
  idMemoryBytes: 16 * MiB,
  /** Segments in one answer to a sink. */
  segmentsPerRead: 100,
  /** At most one wake-up per sink in this time. */
  wakeIntervalMs: SECOND_MS,
  retentionDays: 30,
} as const;

export const SINK = {
  /** A lease without renewal is free again after this. */
  leaseMs: 60 * SECOND_MS,
  /** Events and inflated bytes that one step of a sink holds in memory. */
  stepEvents: 25_000,
  stepBytes: 24 * MiB,
  /** One invocation works at most this long, then leaves the rest to the next wake-up. */
  drainMs: 20 * SECOND_MS,
} as const;

export const TIMELINE = {
  eventsKept: 100_000,
  bytesKept: 64 * MiB,
  daysKept: 30,
  sessionGapMs: 30 * MINUTE_MS,
  /** Packed events in one row before it is closed. */
  rowBytes: 32 * KiB,
  usersPerDevice: 20,
  devicesPerUser: 50,
  sessionsInHead: 50,
  lastValues: 100,
  pageLimitMax: 1_000,
  pageLimitDefault: 100,
} as const;

export const ROLLUP = {
  minutesKeptMs: 48 * HOUR_MS,
  /** A minute may become final this long after its end. */
  finalAfterMs: 30 * SECOND_MS,
  /** Distinct values per dimension and minute counted exactly; beyond it the smallest go to `(other)` and it is marked. */
  valuesPerDimension: 1_000,
  pointsPerAnswer: 50_000,
} as const;

export const SQL = {
  statementBytes: 64 * KiB,
  resultRows: 1_000_000,
  resultBytes: 32 * MiB,
  timeoutMs: 60 * SECOND_MS,
  /** Heap and prefetched pages of one engine; promise 10 leaves the rest of 100 MB to the isolate. */
  engineBytes: 64 * MiB,
  prefetchBytes: 24 * MiB,
  scanBytes: 4 * 1_024 * MiB,
  filesPerStatement: 5_000,
  engines: 2,
} as const;
