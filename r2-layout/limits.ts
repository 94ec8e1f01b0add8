/**
 * Every bound of the system, with its unit and its reason (promise 9). A bound is a name here and nowhere else;
 * the platform's own limits stand apart, because we obey them and do not choose them. What the system waits for stands in
 * `wait(…)`: a local run may scale it.
 */
import { wait } from "./wait.ts";

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
  /** Objects, lists and members in a request's JSON: each takes up to some 60 bytes of heap once it is parsed. */
  jsonValues: 600_000,
  /** Nesting of one event's JSON: deeper is hostile. */
  jsonDepth: 32,
  /** Properties of one event; more are kept in raw and counted, not mapped. */
  propertiesPerEvent: 500,
  /** One property value, in bytes of its text. */
  propertyValueBytes: 8 * KiB,
  /** Characters of an event id; longer ids are refused, a cut id would merge events. */
  eventIdChars: 100,
  /** The name of a republish. */
  republishLabelChars: 64,
  /** One queue message, with room for framing below the platform's 128 kB. */
  messageBytes: 120_000,
  /** Sends of one request under way at once: the platform's connections. */
  simultaneousSends: 6,
  /** Failed messages that one header declares void; the rest waits for the next message. */
  voidsPerMessage: 200,
  /** Sender clocks: an event further ahead than this, or before `oldestEventTimeMs`, is clamped and flagged. */
  futureSkewMs: DAY_MS,
  oldestEventTimeMs: Date.UTC(2000, 0, 1),
  /** An event received this long after it happened is flagged `late`. */
  lateAfterMs: HOUR_MS,
  retryAfterSeconds: 5,
  /** A queue that has not taken a message by then has not: the sender is told to come again. */
  sendTimeoutMs: 10 * SECOND_MS,
  /** Bytes of bodies, inflated, that one isolate holds at once; parsed and on their way they take some four times as much. */
  heldBytes: 16 * MiB,
  /** A request that was cut off and could not say so holds its bytes no longer. */
  heldMs: wait(MINUTE_MS),
} as const;

export const READING = {
  /** A question that has no answer by then gets none: its asker is told to come again. */
  answerMs: 25 * SECOND_MS,
  /** A statement waits for its turn, runs, and has its answer sent. */
  sqlAnswerMs: 2 * MINUTE_MS,
} as const;

export const LOG = {
  /** Dedup window: the age of an id after which its repeat counts anew. */
  dedupWindowMs: 7 * DAY_MS,
  /** A commit refuses a segment written longer ago than this, because the sweep may be near. */
  staleSegmentMs: wait(HOUR_MS),
  /** Objects that no row names are deleted once this old. */
  orphanGraceMs: wait(24 * HOUR_MS),
  /** One SQLite row of packed ids (64 kB of 16 bytes). */
  idsPerRow: 4_096,
  /** Packed ids held in memory by one object; older runs are probed in SQLite. */
  idMemoryBytes: 16 * MiB,
  /** A message is delivered so often at most, as `max_retries` of its queue says, and so often where the log refuses it for what it is. */
  deliveries: 100,
  poisonDeliveries: 5,
  /** Events in one segment: no more than a sink holds in one step. A batch with more becomes several segments. */
  segmentEvents: 25_000,
  /** Segments in one answer to a sink. */
  segmentsPerRead: 100,
  /** At most one wake-up per sink in this time. */
  wakeIntervalMs: wait(SECOND_MS),
  /** While nothing moves, the time between two wake-ups doubles up to this: the sink is down, or its lease has to run out. */
  wakeIntervalMaxMs: wait(10 * SECOND_MS),
  retentionDays: 30,
  /** Shards: a queue each, of the 10,000 that one account has. */
  shards: 8_192,
  /** The window may be set between these: shorter than a queue keeps a message, or longer than the log, it makes no sense. */
  dedupWindowDaysMin: 7,
  dedupWindowDaysMax: 30,
  /** One rule's JSON, so that it is one row. A settlement of more places is several rules. */
  ruleBytes: MiB,
  /** Rules of one answer that tells whom they keep out: within what a call may carry. */
  barredRules: 16,
  /** Lines of one redrive. */
  redriveLines: 25_000,
  /** Sources counted one by one; the rest is counted together. */
  sources: 500,
  /** Packed ids in one answer to the audit, about: ids are uniform, so pages are cut by their first bytes. */
  idsPerAudit: 50_000,
} as const;

export const SINK = {
  /** A lease without renewal is free again after this: how long a drain that was killed holds up its shard. One step takes less. */
  leaseMs: wait(20 * SECOND_MS),
  /** Events and inflated bytes that one step of a sink holds in memory. */
  stepEvents: 25_000,
  stepBytes: 24 * MiB,
  /** One invocation works at most this long, then leaves the rest to the next wake-up. */
  drainMs: wait(20 * SECOND_MS),
  /** Calls to objects that the effects of one invocation make: of 10,000, so that reading the log has room. */
  callsPerInvocation: 8_000,
  /** What cannot be read, or is refused for what it is, fails so often, and for so long, before it becomes a hole. Longer than a straggler lives. */
  poisonAttempts: 5,
  poisonSpreadMs: wait(MINUTE_MS),
  /** So long after a hole, what is refused again is not tried so often: one bad sender must not slow down a shard for good. */
  poisonRecentMs: wait(HOUR_MS),
  /** Segments in a row of which most was refused: then it is rather the store, or our code, and each further one waits so long. */
  poisonInARow: 10,
  poisonHoldMs: wait(HOUR_MS),
  /** Parts of a refused segment that are tried to find the lines at fault; what is not told apart by then goes together. */
  poisonTrials: 64,
} as const;

export const QUARANTINE = {
  /** Entries of one answer. */
  pageLimitMax: 500,
  pageLimitDefault: 50,
  /** Objects looked at for one answer: where most of them do not fit its filter, a page ends early, with a cursor. */
  objectsPerPage: 5_000,
  /** Holes in one answer of a cursor. */
  holesPerAnswer: 1_000,
  /** Of an entry's bytes in its JSON; all of them with `?raw=1`. */
  previewBytes: 16 * KiB,
  /** A re-drive's own body: mended lines of a hole, or a mended message. */
  bodyBytes: 8 * MiB,
  /** Cursors asked at once. */
  cursorsAtOnce: 16,
} as const;

export const SESSIONS = {
  /** At most two calls an event (its user, its device), so that a step of several segments fits one invocation. */
  stepEvents: 2_000,
  /** Events in one step of a rebuild, which has more of each subject and so fewer calls; it may take several invocations. */
  rebuildStepEvents: 5_000,
  /** Timelines written at once. */
  callsAtOnce: 16,
  /** Events of one amendment of many timelines: four calls each at most, of its subjects before and after. */
  amendPairs: 1_000,
  /** Timelines that a rebuild compares with the live ones, and differences that it names. */
  compared: 100,
  differences: 20,
  /** After a swap the build before is not erased for so long: readers and drains that began before may still ask for it. */
  keepSwappedMs: wait(5 * SECOND_MS),
} as const;

export const LAKE = {
  /** Rows of one row group: the unit that a query reads or leaves out. */
  rowGroupRows: 100_000,
  /** Row groups of one file. A file of many days has one a day, until this is reached; then neighbours share one. */
  rowGroupsPerFile: 64,
  /** Rows, and characters of their text, handed to the Parquet encoder at once: what its memory follows. */
  batchRows: 4_096,
  batchChars: 2 * MiB,
  /** A build waits this long for those before it in its isolate. */
  buildTurnMs: wait(30 * SECOND_MS),
  /** Column bounds of text in the catalog. */
  boundBytes: 64,
  /** Wide values of one row group that a compaction writes: so a window of it, however they lie, is decoded within bounds. */
  rowGroupWideBytes: 32 * MiB,
  /** The same packed, as its inputs were: the encoder holds it three times over. */
  rowGroupPackedBytes: 12 * MiB,
  /** A compaction's inputs: decoded rows of one at a time; windows that a batch keeps though they are used up. */
  windowBytes: 2 * MiB,
  batchWindowBytes: 6 * MiB,
  /** What its open inputs hold: packed row groups and windows. It takes fewer inputs instead of more memory. */
  mergeOpenBytes: 34 * MiB,
  /** A file that has reached this size is closed: with its last row group it stays below 512 MB. */
  fileBytes: 480 * MiB,
  /** A multipart upload's parts, all but the last: R2 wants 5 MiB and one size. */
  uploadPartBytes: 5 * MiB,
  /** A file of this size is not merged with smaller ones unless they are as much together; a partition below it is one file. */
  largeFileBytes: 64 * MiB,
  /** Files up to this size are read and rewritten whole; of a larger one a row group at a time, in slices of so many rows. */
  wholeFileBytes: 8 * MiB,
  rewriteRows: 25_000,
  /** Days that one split of files of many days makes files of; older ones stay together for another turn. */
  splitDays: 64,
  /** The Bloom filter of one column in one row group: 10 bits for each of 100,000 different values. */
  bloomFilterBytes: 128 * KiB,
  /** Event names listed for a file; a file with more is never left out because of a name. */
  eventNamesPerFile: 100,
  /** Event names of a file whose rows are counted: which of a day's names are large enough for files of their own. */
  countedNames: 20,
  /** A data file is refused by the catalog this long after it got its key, because the sweep may be near. */
  staleFileMs: wait(HOUR_MS),
  /** How far back a snapshot can be read: a removed file is kept this long. */
  snapshotReachMs: 7 * DAY_MS,
  /** A day of a table with more small files than this is compacted. */
  compactAboveFiles: 20,
  compactInputs: 50,
  /** Files of a partition that are looked at for one compaction; the smallest of them. */
  plannedInputs: 200,
  /** Nothing came for so long: a partition of a few files is compacted, too. After the longer time whatever it costs. */
  quietMs: wait(HOUR_MS),
  settledMs: wait(DAY_MS),
  /** A file of this size is not merged any more. */
  finishedBytes: 240 * MiB,
  /** Event names of one day that have files of their own: those of 64 MB at least. A client that invents names makes no files. */
  ownNames: 16,
  /** Small: what is merged with anything. The rows are for the compaction of a cut. */
  smallFileBytes: 2 * MiB,
  /** Packed bytes of one compaction's inputs: it works about a minute. */
  compactBytes: 512 * MiB,
  /** Files in one answer to who goes over them. */
  filesPerPage: 50,
  /** Event names that a comparison of two builds tells apart, and differences that it tells. */
  tallyNames: 200,
  differences: 20,
  /** Packed files, and places of rows, that a reader of the lake by place keeps at hand. */
  placeCacheBytes: 16 * MiB,
  /** One invocation compacts this long, then leaves the rest to another. */
  compactMs: 60 * SECOND_MS,
  /** Keys in one question of a sweep, and objects it looks at in one message. */
  sweepKeys: 1_000,
  sweepObjects: 50_000,
} as const;

/** Columns that are added at run time (promoted-columns.ts). */
export const SCHEMA = {
  /** For good: each is in every footer, and its bounds beside every file in the catalog. */
  promotedColumns: 32,
  /** Letters, digits and underscores: what every engine's identifiers allow. */
  nameChars: 63,
  docChars: 500,
  /** A longer text stays in the property map. */
  textBytes: 1 * KiB,
  /** With more promoted texts than this the encoder holds less of each column: its memory follows their sum. */
  roomyTexts: 8,
  crampedBytes: 128 * KiB,
  crampedValues: 128,
  bodyBytes: 8 * KiB,
} as const;

/** A contract's JSON Schema. */
export const CONTRACT = {
  /** One within the other, and in all: what every event of the name is checked against. */
  schemaDepth: 16,
  schemasMax: 1_000,
  patternChars: 500,
  documentBytes: 64 * KiB,
  /** What an event means, and who answers for it. */
  textBytes: 1 * KiB,
  /** Event names, and versions of one: the registry compares with all of them. */
  names: 2_000,
  versions: 200,
  /** Of an event: sources that are named. */
  rollouts: 100,
  /** Documents of all rollouts in force, each once for every source that it is rolled out to: one answer to an edge. */
  enforcedBytes: 8 * MiB,
  /** Of a version that may not follow. */
  breaksTold: 50,
  /** How old what an edge enforces may be, how long a new one waits for it, and when it asks again in vain. */
  bookMs: wait(30 * SECOND_MS),
  bookWaitMs: SECOND_MS,
  bookRetryMs: wait(5 * SECOND_MS),
  rulesBytes: 1 * KiB,
} as const;

/** Events that broke their contract: looked at by cause, tried against another version, and given back to the log. */
export const VIOLATIONS = {
  /** Of received time that one question looks at: by default, and at most. */
  rangeMs: 7 * DAY_MS,
  rangeMaxMs: 31 * DAY_MS,
  /** A name or an expectation that a cause or a mapping names. */
  textChars: 1_000,
  mappingSteps: 50,
  bodyBytes: 128 * KiB,
  causesListed: 200,
  samples: 10,
  /** How much of an event a sample shows. */
  sampleBytes: 8 * KiB,
  /** Segments that one call reads, and for how long; what is left goes on in another. */
  segmentsPerCall: 64,
  sliceMs: 10 * SECOND_MS,
  /** Of recorded events that a trial goes through, and by default. */
  trialHoursMax: 7 * 24,
  trialHours: 24,
  /** Groups of failures that a call tells apart; the rest are counted as one. */
  groupsTold: 500,
  /** Hours of one report on what is expected, and by default. */
  healthHoursMax: 7 * 24,
  healthHours: 24,
} as const;

/** The hourly look at what contracts expect: what came of each event from each source, and what of it breaks an expectation. */
export const HEALTH = {
  /** After an hour's end: how long what an edge took may be on its way, and when a log that has nothing newer is taken to be idle. */
  settleMs: wait(5 * MINUTE_MS),
  idleMs: wait(30 * MINUTE_MS),
  /** An hour that is not whole in the lake by then is never judged. */
  openHours: 24,
  /** Events by name that one slice asks for, and one hour in all; of an event sources and fields. */
  eventsPerSlice: 8,
  events: 200,
  sources: 50,
  fields: 32,
  /** Hours that are kept, and of those before so many say which failure rate is usual. */
  keptHours: 72,
  baselineHours: 24,
  /** A rate jumps where so much more of what came fails than usual, and at least so many. */
  jumpShare: 0.05,
  jumpFailures: 10,
  /** Of fewer events a share says nothing. */
  leastEvents: 10,
  /** Good hours in a row after which a break is over. */
  recoveredHours: 2,
  /** A source that has sent nothing for so long is not waited for any more. */
  sourceMs: 7 * DAY_MS,
  /** Breaks that are open at once, and those that are over and kept. */
  breaksOpen: 1_000,
  breaksKept: 500,
  /** Of one answer: breaks, and lines of events by source. */
  breaksTold: 100,
  linesTold: 200,
} as const;

/** Calls to others' servers when an expectation breaks, and when it holds again. */
export const WEBHOOKS = {
  /** An invocation has six connections at once, so receivers that hang leave one free. */
  webhooks: 5,
  urlChars: 500,
  descriptionChars: 200,
  bodyBytes: 4 * KiB,
  /** A receiver that has not answered by then has failed. */
  answerMs: wait(10 * SECOND_MS),
  /** Waits after the first attempt, the second, …; after as many and one more it is given up. */
  retryMs: [5 * SECOND_MS, 30 * SECOND_MS, 2 * MINUTE_MS, 10 * MINUTE_MS, HOUR_MS, 3 * HOUR_MS, 6 * HOUR_MS].map(wait),
  /** How long a receiver that fails is left alone, by its failures in a row: the first, doubled with each, and at most. */
  restMs: wait(5 * SECOND_MS),
  restMaxMs: wait(5 * MINUTE_MS),
  /** For one receiver: calls that wait, and settled ones that are remembered. */
  waiting: 1_000,
  remembered: 200,
  errorChars: 200,
} as const;

/** What becomes of fields about people (contracts), and the search for those that nobody has declared. */
export const PII = {
  /** Hashes are comparable for so long: then there is another salt, and the old one is destroyed when clocks behind have caught up. */
  saltMs: 30 * DAY_MS,
  saltGraceMs: HOUR_MS,
  /** People's keys that one isolate of the edge knows, and for how long: one that was destroyed is used no longer than this. */
  keysKnown: 10_000,
  keyMs: wait(5 * MINUTE_MS),
  /** Keys that one request may ask for: each is a call. Events of further people are to be sent again. */
  keysPerRequest: 1_000,
  /** A key that is not there by then is not to be had: the event is to be sent again. */
  keyWaitMs: 10 * SECOND_MS,
  /** Keys that an erasure destroys between two looks at the clock, and calls at once. */
  keysAtOnce: 200,
  keysParallel: 6,
  /** Values that are made readable in one request. */
  revealed: 100,
  revealBytes: MiB,
  /** The daily search reads so many shards, segments of each and lines of those, evenly spread: some 500,000 events at most. */
  auditShards: 64,
  auditShardsAtOnce: 8,
  auditSegments: 16,
  auditLines: 500,
  /** Of an event and of a text so much is looked at. */
  auditValues: 1_000,
  auditTextChars: 4_096,
  /** Findings of one shard, the length of a field's name in them, those that a report tells, and days that they are kept. */
  auditFindings: 200,
  auditFieldChars: 200,
  auditReported: 500,
  reportDays: 7,
  auditDays: 30,
} as const;

/** Cuts and retention: the history of the lake. */
export const CUT = {
  /** A day is frozen from so long after its midnight, UTC: what was received before it has then left the queues. */
  delayMs: 30 * MINUTE_MS,
  /** A day that is not complete by then is published as partial. */
  waitMs: 6 * HOUR_MS,
  /** Two versions of a day are so long apart at least. */
  versionEveryMs: DAY_MS,
  /** How often a day is looked at for a next version: while it is young, and later. */
  checkEveryMs: HOUR_MS,
  checkOldEveryMs: DAY_MS,
  youngMs: 8 * DAY_MS,
  /** Days looked at in one call: each is a walk over the files of several days that the catalog has. */
  checksAtOnce: 4,
  /** After an outage so many days are caught up on. */
  catchUpDays: 31,
  /** What waits is looked at again after this. */
  retryMs: wait(MINUTE_MS),
  /** A compaction or a tally that fails so often is left out. */
  attempts: 5,
  /** Merges of a cut's files, at most: 25,000 files of a day. */
  mergeRounds: 500,
  /** Rollups that are behind are waited for, looked at so often. */
  compareAttempts: 60,
  /** No longer than this does a cut keep the day's other compactions waiting. */
  holdMs: 6 * HOUR_MS,
  /** One invocation works on cuts this long, then leaves the rest to another. */
  workMs: 60 * SECOND_MS,
  /** Values of one dimension that a tally tells apart: three dimensions of names of 200 bytes stay below a row of 2 MB. */
  values: 500,
  /** Differences listed of each dimension. */
  differences: 100,
  /** What is missing in a partial cut, listed. */
  missing: 100,
  /** Characters of a name of one's own. */
  nameChars: 64,
  filesPerPage: 1_000,
  listDefault: 50,
  listMax: 500,
  bodyBytes: 4 * KiB,
} as const;

export const RETENTION = {
  /** Rows are kept so long after they were received, unless their event name says otherwise. */
  days: 730,
  daysMin: 1,
  daysMax: 36_500,
  /** Event names with a time of their own. */
  names: 1_000,
  /** Files that one commit drops. */
  filesPerCommit: 500,
  /** Snapshots in one answer. */
  snapshotsDefault: 100,
  snapshotsMax: 1_000,
} as const;

export const RULE = {
  /** Fields that a filter names, or a change sets. */
  fields: 20,
  /** Values of one field of a filter; values that one change maps. */
  values: 1_000,
  mapped: 5_000,
  /** Events that a filter names one by one: a settlement of more takes several rules. */
  places: 5_000,
  /** UTF-8 bytes of a filter, and of a change, as JSON: both are in one row of each shard's log. */
  bytes: 512 * KiB,
  propertyNameBytes: 1 * KiB,
} as const;

/** A user's events from the lake. */
export const PAST = {
  /** Active days, and bytes, after which a page ends early, with a cursor. The day that passes the bytes is read to its end. */
  daysPerPage: 60,
  bytesPerPage: 64 * MiB,
  /** A day of more files is not compacted yet: three reads each, of the platform's 10,000. */
  filesPerDay: 2_000,
  /** Files read side by side: each may hold a packed row group. */
  filesAtOnce: 3,
} as const;

export const TIMELINE = {
  eventsKept: 100_000,
  bytesKept: 64 * MiB,
  daysKept: 30,
  sessionGapMs: 30 * MINUTE_MS,
  /** Packed events in one row before it is closed. */
  rowBytes: 64 * KiB,
  usersPerDevice: 20,
  devicesPerUser: 50,
  /** Sessions whose events have expired, kept as summaries. */
  sessionsInHead: 50,
  lastValues: 100,
  /** One last value, or one text of a session; longer ones are cut. */
  valueChars: 512,
  /** A trait with a longer name is in its event, but has no last value. */
  traitNameChars: 200,
  /** Event names and currencies counted one by one; the rest is counted together. */
  eventNames: 200,
  currencies: 20,
  /** Packed events of one answer, and of the chunks read for it: a page may end early, with a cursor. */
  pageBytes: 4 * MiB,
  scanBytes: 8 * MiB,
  sessionsPerAnswer: 500,
  pageLimitMax: 1_000,
  pageLimitDefault: 100,
  /** How long an isolate takes the build of the timelines that it saw last for the live one. */
  generationSeenMs: wait(2 * SECOND_MS),
} as const;

/** What support asks beyond one timeline. */
export const SUPPORT = {
  /** One text that may be a user, a device, an address or an event. */
  lookupChars: 512,
  /** Of a user: devices whose anonymous events are looked at for those before a sign-in. */
  stitchedDevices: 5,
  /** Segments read for an event whose commit is known to the millisecond. */
  segmentsRead: 4,
  /** Events of one export; a timeline keeps half as many. */
  exportEvents: 200_000,
  /** Broken events in the archive of all that is held about a person; it says where there are more. */
  archiveQuarantine: 200,
  /** Pages of one export, of at most some 100 calls each. */
  exportPages: 400,
} as const;

/** Which subjects have given an e-mail address. */
export const EMAIL_INDEX = {
  /** For good: an address is in the object that its hash says. 400,000 rows each for 100 million users. */
  objects: 256,
  /** As SMTP has it (RFC 5321: 254); what is longer is no address. */
  addressChars: 254,
  /** An address that more have given is no way to find one of them. */
  subjectsPerAddress: 20,
  /** Addresses of one subject that are indexed. */
  addressesPerSubject: 20,
} as const;

/** The online store of users' features (durable-objects/user-timeline/online-features.ts), and its batch. */
export const PROFILE = {
  /** Event names that are counted one by one in the windows; the rest is counted together. */
  eventNames: 50,
  /** Properties that may be chosen, and a name in the setting. */
  properties: 50,
  nameChars: 200,
  batchUsers: 100,
  /** A hundred ids of the longest kind, escaped as JSON may. */
  batchBytes: 256 * KiB,
  /** Calls of one batch under way. */
  callsAtOnce: 25,
  /** A user of a batch whose timeline has not answered by then is answered without it. */
  answerMs: 5 * SECOND_MS,
} as const;

/** A person's own recent events, for their app: apart from what support may ask. */
export const OWN = {
  tokenChars: 2_048,
  tokenSecondsMax: 24 * 60 * 60,
  tokenSecondsDefault: 15 * 60,
  /** A key that signs tokens: 256 bits, as HS256 wants them. */
  keyBytesMin: 32,
  minutesMax: 7 * 24 * 60,
  eventsMax: 50,
  eventsDefault: 20,
  /** Of one person, over all their tokens: so many at once, and so many a minute for good. */
  requestsAtOnce: 10,
  requestsPerMinute: 30,
} as const;

/** What is written down of who asked what. */
export const AUDIT = {
  /** The same question of the same reader counts once in this time, in each isolate, which remembers so many. */
  againMs: MINUTE_MS,
  remembered: 5_000,
  /** Of a statement: characters looked at, and characters kept. */
  statementRead: 16 * KiB,
  statementChars: 4_000,
  /** Of one question; a batch of profiles has as many. */
  subjects: 100,
  attempts: 3,
  againAfterMs: 500,
  entriesDefault: 100,
  entriesMax: 1_000,
  lookedBackMs: 7 * DAY_MS,
} as const;

/** Cloudflare Access's assertions, and the keys that have signed them. */
export const ACCESS = {
  assertionChars: 8_192,
  keysMs: HOUR_MS,
  /** For a key that is not known, or after no answer. */
  askAgainMs: MINUTE_MS,
  /** Without an answer; a key that was changed is still good for a week. */
  keysKeptMs: DAY_MS,
  answerMs: 5 * SECOND_MS,
} as const;

export const ROLLUP = {
  minutesKeptMs: 48 * HOUR_MS,
  /** A minute may become final this long after its end. */
  finalAfterMs: wait(30 * SECOND_MS),
  /** Distinct values per dimension and minute counted exactly; beyond it the smallest go to `(other)` and it is marked. */
  valuesPerDimension: 1_000,
  /** Encoded values of one dimension: four of them, the totals and the sketch stay far below a row of 2 MB. */
  dimensionBytes: 128 * KiB,
  /** Currencies of one total or value; ISO 4217 knows 180. Further ones are summed under `(other)`. */
  currencies: 200,
  /** Events in one step of a rebuild: live events wait for it, in the object that has both. */
  rebuildStepEvents: 4_000,
  /** Decoded minutes, hours and days held in memory by one object. */
  rowsInMemory: 16,
  /** What the last batches added is remembered, so that SQL can count up to where the lake is: so many, of so many values. */
  recentBatches: 64,
  recentValues: 5_000,
  pointsPerAnswer: 50_000,
  /** Windows that are built anew at once in one object. */
  rebuildsAtOnce: 32,
  /** A build to which nothing was added for so long was abandoned, and is let go. */
  rebuildIdleMs: 7 * DAY_MS,
  /** Builds that have ended are remembered, so that a call of theirs that comes late changes nothing. */
  rebuildsRemembered: 200,
  /** Minutes that a comparison lists. */
  differencesListed: 100,
  /** Records of what changed in final minutes: how long, and in how many rows, of how many records with so many currencies. */
  changesKeptMs: 30 * DAY_MS,
  changeRows: 10_000,
  changesPerRow: 1_000,
  changeCurrencies: 10,
  changesLimitDefault: 100,
  changesLimitMax: 1_000,
} as const;

/** Custom rollups that a dashboard's tile defines. */
export const TILES = {
  /** Of the whole system: each is computed for every event, and keeps rows in every shard. */
  definitions: 100,
  /** A definition as JSON: its body, and a row of the registry's. */
  bodyBytes: 64 * KiB,
  nameChars: 100,
  dimensions: 2,
  funnelSteps: 8,
  /** One value of a dimension; longer ones are cut. */
  keyBytes: 256,
  /** Values of one start that are told apart, fewer where each has a sketch; beyond, those with the fewest events go to `(other)`. */
  valuesPerRow: 1_000,
  sketchesPerRow: 100,
  /** Their text, about: a row stays far below 2 MB. */
  rowBytes: 768 * KiB,
  /** Users of one minute that a funnel follows in a shard; beyond, a sample of them by their hash. */
  funnelActors: 5_000,
  /** Starts of a minute or five, and of an hour, are kept so long; days for good. */
  minutesKeptMs: 48 * HOUR_MS,
  hoursKeptMs: 32 * DAY_MS,
  /** What came since rows were last written is one text, until it is as old, or as long. */
  foldMs: wait(MINUTE_MS),
  pendingBytes: 256 * KiB,
  /** Events in one call, of a fill too: each may be a value of its own in every tile. One segment may hold more. */
  stepEvents: 4_000,
  /** Windows of one fill: hours that lie nearest to each other are joined. */
  windows: 48,
  /** Decoded rows held in memory by one object. */
  rowsInMemory: 64,
  /** Starts of a tile that are live: what a shard publishes. */
  liveStarts: 60,
  /** Values of one start that it publishes, fewer where each has a sketch: the hub holds them for each shard. */
  publishedValues: 100,
  publishedSketches: 40,
  publishedBytes: 16 * KiB,
  /** Hours of a funnel in one answer: each goes through the users of 60 minutes. */
  funnelHours: 60,
  /** A funnel is told to screens at most so often, for the same reason. */
  funnelEveryMs: wait(5 * SECOND_MS),
} as const;

/** Dashboards of the live page. */
export const DASHBOARDS = {
  /** Of the whole system. */
  dashboards: 200,
  bodyBytes: 64 * KiB,
  idChars: 64,
  /** Of a dashboard, and of a tile's title. */
  nameChars: 100,
  /** Each may watch a topic of its own: a socket's bound leaves room for the minutes. */
  tiles: 24,
  /** Values of one column that a dashboard is narrowed to. */
  filterValues: 20,
  filterValueBytes: 256,
} as const;

export const LIVE = {
  /** Minutes on the screen, and minutes ahead of the clock that may be shown. */
  minutes: 60,
  minutesAhead: 1,
  /** Values per dimension that a shard publishes, and that a frame shows: the sum of several shards needs more than one shows. */
  topPublished: 40,
  topShown: 20,
  /** Publishes of several shards within this time become one frame. */
  coalesceMs: wait(250),
  /** A minute is sent at most once in this time. */
  frameIntervalMs: wait(500),
  /** Of one hub; beyond that, hubs below it, so many of the same size. */
  sockets: 5_000,
  leaves: 64,
  /** How long the edge goes by the hubs with room that the root has named. */
  hubsKnownMs: wait(10_000),
  /** A hub that does not answer another one counts as lost. */
  relayTimeoutMs: wait(10_000),
  /** One that has heard nothing of the root for so long asks again: minutes become final, so something is said each minute. */
  silenceMs: wait(60_000),
  /** Topics of one socket: their names lie in its attachment, of 2 KiB at most. */
  topics: 32,
  /** Tiles that are looked at anywhere, and how long one is kept that nobody looks at any more. */
  tiles: 64,
  tileKeptMs: wait(60_000),
  /** Values of a tile's start that are shown: with 60 starts a snapshot stays below half a MiB. */
  tileValues: 50,
  /** Characters that a client may have been sent without having said that it read them; one that never says anything may have more. */
  unread: MiB,
  unreadSilent: 4 * MiB,
  /** A client that has read nothing for so long while that much is unread is closed. */
  slowMs: wait(60_000),
  /** Of one socket: changes of its topics, and other messages that say nothing. Longer ones, or more, close it. */
  subscribes: 500,
  clientMessageBytes: 1_024,
  clientMessages: 20,
} as const;

export const SQL = {
  statementBytes: 64 * KiB,
  /** Words, numbers, quotes and operators: what the parser's memory follows. */
  statementTokens: 10_000,
  /** Brackets within brackets, and operators in a row on the way to the innermost: both parsers recurse on them. */
  statementDepth: 60,
  statementChain: 200,
  /** Words, times two for each CASE, CAST and the like around the innermost: what our parser may have to read of it. */
  statementWork: 2_000_000,
  /** Of a JSON answer, which is whole or not at all. */
  resultRows: 1_000_000,
  resultBytes: 32 * MiB,
  /** Of an answer in another format, which is sent while it is made; a statement's time mostly ends it earlier. */
  streamedRows: 100_000_000,
  streamedBytes: 1_024 * MiB,
  /** What is kept before the first byte is sent: so far an answer is whole or a problem document in these formats, too. */
  wholeBytes: 8 * MiB,
  /** Unread bytes beyond which a statement that is being sent waits for its reader, who may take nothing for so long, less where others wait for the engine. */
  unreadBytes: 4 * MiB,
  stallMs: 10 * SECOND_MS,
  stallBesideOthersMs: 3 * SECOND_MS,
  /** Unread bytes of all answers beside which the next statement may begin. */
  outboxBytes: 8 * MiB,
  /** Answers kept in an isolate: bytes of one, of all, how many, and how long. */
  cachedResultBytes: MiB,
  cacheBytes: 4 * MiB,
  cachedResults: 500,
  cachedMs: 5 * MINUTE_MS,
  /** By how much an answer may be out of date where the asker says so. */
  stalenessMaxS: 60,
  timeoutMs: 60 * SECOND_MS,
  /** Heap, prefetched pages and encoded result of one engine; promise 10 leaves the rest of 100 MB to the isolate. */
  engineBytes: 84 * MiB,
  /** Of these the heap at most: 22 MiB are DuckDB itself and its stack, the rest is what it may count as its own. */
  heapBytes: 72 * MiB,
  queryBytes: 50 * MiB,
  prefetchBytes: 24 * MiB,
  /** Of these the ends of data files, which the engine reads again when it opens them. */
  heldFooterBytes: 6 * MiB,
  scanBytes: 4 * 1_024 * MiB,
  filesPerStatement: 5_000,
  /** R2 reads of one statement: each is a subrequest, and some are left for what nobody foresaw. */
  readsPerStatement: 9_000,
  /** Files whose bounds are looked at one by one for one plan; of more only their times and event names count. */
  filesLookedAt: 20_000,
  engines: 2,
  /** A statement waits this long for its turn at an engine, behind at most so many others. */
  waitMs: 30 * SECOND_MS,
  waiting: 16,
  /** A statement over files of so many bytes and rows may run in a pause of another, which waits for it so long at most. */
  lightBytes: 16 * MiB,
  lightRows: 500_000,
  guestMs: SECOND_MS,
  /** Per token: statements that wait or run, those of the last minute, bytes read in a day. */
  statementsAtOnce: 32,
  statementsPerMinute: 600,
  bytesPerDay: 200 * 1_024 * MiB,
  /** A place among a token's statements is held so long at most: an answer is sent by then, or never. */
  placeMs: 2 * MINUTE_MS + 10 * SECOND_MS,
  /** How a statement ended can be asked so long, of so many of a token. */
  endedKeptMs: 10 * MINUTE_MS,
  endedKept: 16,
  /** A cancellation that comes before its statement is remembered so long by an engine, and so many of them. */
  earlyCancelMs: 5 * SECOND_MS,
  earlyCancels: 100,
} as const;

/** Results of Trino's clients, between one poll and the next. */
export const TRINO = {
  /** A page's text, about: rows are added until it is that long. */
  pageChars: 512 * KiB,
  /** A page's bytes: one value of an object's storage, with room for its frame. One row may be as long. */
  pageBytesMax: 1_900_000,
  /** All pages of a result: they wait in storage for a client that may be slow. */
  resultBytes: 128 * MiB,
  /** A poll waits so long for something to say. */
  pollWaitMs: SECOND_MS,
  /** A result that nobody asks after for so long is let go, and its statement ended. */
  idleMs: 5 * MINUTE_MS,
  /** Once its last page was given, it waits so long for a client that did not get it. */
  endedMs: MINUTE_MS,
} as const;

export const REPLAY = {
  /** One invocation works on a job at most this long, pauses between its steps included. */
  sliceMs: wait(5 * SECOND_MS),
  /** Share of the time that a job works beside live traffic, where its rate does not hold it back earlier: it pauses after each step. */
  duty: 0.4,
  /** The longest of these pauses: a step that was slow because something was away has taken nothing from anybody. */
  roomMaxMs: wait(2 * SECOND_MS),
  /** So many rounds of a rebuild make room; what is left then is read at once, or it might never meet its live store. */
  roomRounds: 3,
  /** Without a commit for so long there is no live traffic to make room for. */
  quietMs: wait(10 * SECOND_MS),
  /** A lease is renewed with each step; one step, with its retries inside the platform, takes less. */
  leaseMs: wait(60 * SECOND_MS),
  /** Events of one step, where the target does not want fewer; one segment may hold more. */
  stepEvents: 10_000,
  /** Packed bytes of one step's segments. */
  stepBytes: 2 * MiB,
  /** Events a second: by default, and at most. */
  rate: 20_000,
  rateMax: 1_000_000,
  /** A message that brought nothing is sent again after this. */
  resendMs: wait(15 * SECOND_MS),
  /** After a failure, doubled up to the larger. */
  retryMs: wait(SECOND_MS),
  retryMaxMs: wait(60 * SECOND_MS),
  /** Failures in a row, of a kind that time does not cure, before a job gives up. */
  attempts: 8,
  /** A job stands back while a live sink lags by more than this and moves; after the longer time one slice goes on all the same. */
  liveLagMs: wait(15 * SECOND_MS),
  standBackMs: wait(2 * SECOND_MS),
  standBackMaxMs: wait(30 * SECOND_MS),
  /** Shards asked for their lag before a slice. */
  lagShards: 8,
  /** A job waits this long before it looks again whether others have come far enough. */
  lookAgainMs: wait(SECOND_MS),
  /** A job with rules that has waited for a sink for so long lets replays of it go on. */
  asideMs: wait(30 * SECOND_MS),
  /** Jobs that have not ended, ended ones kept, and jobs in one answer. */
  openJobs: 50,
  jobsKept: 200,
  jobsListed: 20,
  jobsListedMax: 200,
  bodyBytes: 256 * KiB,
  keyChars: 200,
  noteChars: 1_000,
  errorChars: 1_000,
  /** Events shown before and after in a preview. */
  samples: 5,
  /** Ranges of hours that a correction remembers, and windows in which it builds rollups anew: beyond, the nearest are joined. */
  hourRanges: 1_000,
  windows: 48,
  /** Segments that so few others lie between are read with these. */
  readAlong: 16,
  /** Places that a rule's record names of segments that cannot be read. */
  uncorrectedListed: 100,
  /** Shards asked at once, and rows whose timelines are amended at once. */
  shardsAtOnce: 6,
  pairsAtOnce: 1_000,
  /** Places in one rule of a settlement: a row of the log's, with room below 2 MB. */
  placesPerRule: 2_000,
  /** Ids of republished events whose older copies are looked for at once. */
  settleIds: 20_000,
  /** Older copies of a republished event are looked for so far around its event_time: a clock corrected twice differs. */
  settleReachMs: HOUR_MS,
  /**
   * The audit looks once more for copies of what was republished up to so long before its days: an original may come late,
   * as late as ids are known. In so many parts of the log; beyond, the nearest are joined.
   */
  republishedMs: 7 * DAY_MS,
  republishedReads: 1_000,
  /** A settlement lets an open rebuild end, and people confirm it, for this long. */
  decisionWaitMs: wait(HOUR_MS),
  settledDays: 60,
  settledRows: 1_000,
  auditDays: 31,
} as const;

/** Requests to be forgotten. */
export const ERASURE = {
  /** Identifiers of one request; all of them are erased in one pass over each store. */
  identifiers: 10_000,
  /** With those that the closure adds. */
  subjects: 50_000,
  /** Timelines and addresses that are asked for one closure, in one request. */
  closureCalls: 1_000,
  /** Hashes in one rule, so that it is one row of the log's: a larger set is several rules. */
  subjectsPerRule: 20_000,
  /** An identifier as the columns have it, bytes. */
  identifierBytes: 256,
  bodyBytes: 4 * MiB,
  /** Open for longer than this, a request is overdue. */
  overdueMs: DAY_MS,
  /** Objects that a receipt names for each store; further ones are counted. */
  replacementsListed: 1_000,
  /** Objects that one listing names, of those that may hold a name in clear. */
  recordsListed: 200,
  /** A preview that nobody confirms is withdrawn, and its lists with it. */
  previewMs: 7 * DAY_MS,
  /** A list is written before its job: so old and without one, it is nobody's. */
  listGraceMs: HOUR_MS,
  /** Of the newest so many erasures that are done, so many are looked for again each day, and so many of the people of each. */
  checkedAmong: 200,
  checkedJobs: 4,
  checkedSubjects: 1_000,
  /** Work of a day's look; what is left of it goes on the day after. */
  checkMs: 10 * MINUTE_MS,
  /** Nothing heard of for so long, a look goes on with the next hour. */
  checkStallMs: 5 * MINUTE_MS,
  /** Traces that are remembered, the newest. */
  checkFoundKept: 50,
} as const;

/** Erased rows in the lake's files. */
export const LAKE_ERASURE = {
  /** With more subjects than this a file's Bloom filters would let most of its row groups through: all are read. */
  filteredSubjects: 64,
  /** Replaced objects that one answer names; more are counted. */
  replacedTold: 1_000,
  /** Unnamed segments of the log are looked for so many days back: older ones were swept. */
  orphanDays: 3,
  /** Bytes of an object that are hashed at once. */
  hashedBytes: 8 * MiB,
} as const;

/** Erasing from the log's segments. */
export const LOG_ERASURE = {
  /** Segments in one answer to whom an erasure is about, and what a log looks at for it: rows, and bytes of their subjects. */
  segmentsTold: 100,
  rowsLooked: 1_000,
  prefixBytesLooked: 8 * MiB,
  /** Of one segment: with more subjects than this it is read by every erasure. Within a row of SQLite. */
  prefixesKept: 100_000,
  /** Objects to be deleted that one answer names. */
  replacedTold: 1_000,
} as const;

export const ICEBERG = {
  /** Metadata is published at most so often; a cut does not wait. */
  publishIntervalMs: wait(MINUTE_MS),
  /** One invocation publishes this long, then leaves the rest to another. */
  publishMs: 60 * SECOND_MS,
  /** Data files of one manifest. */
  manifestFiles: 200,
  /** A manifest with fewer is small; so many small ones of a spec are joined. */
  smallManifestFiles: 50,
  smallManifests: 16,
  /** Facts of data files in one answer of the catalog: some thousand bytes each. */
  filesPerPage: 100,
  /** Commits of the lake that one snapshot folds: bounds the files that go in it. */
  commitsPerSnapshot: 2_000,
  /** Every snapshot is kept so long, then one an hour, as long as the lake keeps what it names, less the time a reader may take. */
  everySnapshotMs: 2 * HOUR_MS,
  snapshotReachMs: 7 * DAY_MS - 2 * HOUR_MS,
  /** Snapshots in the metadata at most, tagged ones apart; the oldest go first. */
  snapshots: 320,
  /** Cuts that are tags, the newest. */
  tags: 100,
  /** Earlier metadata files that are kept and named. */
  metadataVersions: 20,
  /** Read credentials are good so long. */
  credentialSeconds: 3_600,
  /** A request for a token: a secret and a few words. */
  tokenRequestBytes: 16 * KiB,
} as const;
