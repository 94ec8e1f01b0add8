/**
 * Promise 9, checked: every key of r2-layout/limits.ts is here, with the test that meets it at its value and the test that
 * goes beyond it (mostly one), or with why it is no limit. A key that is not here, a test that is not there, and a test in a
 * file that does not name the key fail.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import * as limits from "../r2-layout/limits.ts";

/** `<file below test/>: <name of the test, or the beginning of it>` */
type TestRef = `${string}.ts: ${string}`;
type Entry =
  | { readonly at: TestRef; readonly beyond: TestRef }
  /** Durations of waits, defaults, and how much of its own work a part does at once: nothing is refused, cut or lost there. */
  | { readonly noLimit: string };

const TALLY = "durable-objects/minute-rollup/tally.workerd.test.ts";

const both = (ref: TestRef): Entry => ({ at: ref, beyond: ref });
const noLimit = (reason: string): Entry => ({ noLimit: reason });

const AUDIT = "workers/edge/audit/audit-trail.test.ts";
const ACCESS = "workers/edge/access-people.test.ts";
const edge = (name: string): Entry => both(`workers/edge/limits.test.ts: ${name}`);
const ingest = (name: string): Entry => both(`workers/edge/ingest.workerd.test.ts: ${name}`);
const sql = (name: string): Entry => both(`workers/query/limits.test.ts: ${name}`);
const layout = (name: string): Entry => both(`r2-layout/limits.test.ts: ${name}`);
const merge = (name: string): Entry => both(`r2-layout/parquet-merge.test.ts: ${name}`);
const queues = (name: string): Entry => both(`queues/limits.test.ts: ${name}`);
const objects = (name: string): Entry => both(`durable-objects/limits.test.ts: ${name}`);
const erasures = (name: string): Entry => both(`workers/edge/erasure-request.test.ts: ${name}`);
const inRuntime = (name: string): Entry => both(`durable-objects/limits.workerd.test.ts: ${name}`);
const timeline = (name: string): Entry => both(`durable-objects/user-timeline/timeline.workerd.test.ts: ${name}`);
const changes = (name: string): Entry => both(`durable-objects/minute-rollup/change-log.workerd.test.ts: ${name}`);
const SEGMENTS_WITH =
  "durable-objects/event-log/segment-subjects.workerd.test.ts: comes LOG_ERASURE.segmentsTold at a time, of LOG_ERASURE.rowsLooked rows and prefixBytesLooked bytes at most, and is all there";
const TILE_STATE = "durable-objects/tile-rollup/tile-state.test.ts";
const TILE_READ = "durable-objects/tile-rollup/read.test.ts";
const tileDefinition = both(
  "durable-objects/tile-rollup/parse-definition.test.ts: is as large as TILES.nameChars, TILES.dimensions and TILES.funnelSteps say, and no larger",
);
const tileRoute = both(
  "workers/edge/tiles.workerd.test.ts: promise 9: names what is wrong, and takes TILES.definitions and no more, of TILES.bodyBytes at most",
);
const tileSketches = both(
  `${TILE_STATE}: promise 9: keeps TILES.sketchesPerRow values where each has a sketch, and TILES.rowBytes of text`,
);
const tileReach = both(
  `${TILE_READ}: promise 9: reaches back TILES.minutesKeptMs by the minute and TILES.hoursKeptMs by the hour, and not further`,
);
const tileShown = both(`${TILE_STATE}: shows screens TILES.publishedValues values, fewer with sketches`);
const cuts = (name: string): Entry => both(`durable-objects/lake-catalog/cuts.workerd.test.ts: ${name}`);
const history = (name: string): Entry => both(`workers/edge/history.workerd.test.ts: ${name}`);
/** What goes beyond is in the table of typing errors there. */
const settings = (name: string): Entry => both(`queues/maintenance/history-settings.test.ts: ${name}`);
const rules = both(
  "r2-layout/rule-parse.test.ts: promise 9: takes as much as its bounds allow, and no byte more in all",
);
const icebergSnapshots = both(
  "r2-layout/iceberg/table-metadata.test.ts: promise 9: keeps every snapshot for ICEBERG.everySnapshotMs, then one an hour",
);
const publishing = (name: string): Entry => both(`queues/maintenance/publish-iceberg.workerd.test.ts: ${name}`);
const privacy = (name: string): Entry => both(`workers/edge/privacy/event-privacy.test.ts: ${name}`);
const reveal = both(
  "workers/edge/privacy/privacy.workerd.test.ts: promise 9: PII.revealed values are made readable at once, of PII.revealBytes",
);
const searched = (name: string): Entry => both(`queues/pii-audit/audit-log.test.ts: ${name}`);
const found = (name: string): Entry => both(`queues/pii-audit/tally.test.ts: ${name}`);
const reported = (name: string): Entry => both(`durable-objects/pii-audit/pii-audit.workerd.test.ts: ${name}`);
const violationCause = both(
  "workers/edge/violations/cause.test.ts: promise 9: reaches over VIOLATIONS.rangeMaxMs and names VIOLATIONS.textChars characters, and no more",
);
const violationStory = both(
  "system/stories/required-by-mistake.test.ts: promise 9: tries VIOLATIONS.trialHoursMax hours, reports on VIOLATIONS.healthHoursMax, and reads VIOLATIONS.bodyBytes, no more",
);
const judged = (name: string): Entry => both(`durable-objects/contract-health/health-table.test.ts: ${name}`);
const looked = both(
  "queues/contract-health/evaluate-hours.test.ts: promise 9: asks for HEALTH.events events, HEALTH.eventsPerSlice a slice, and tells of HEALTH.sources sources and HEALTH.fields fields",
);
const webhook = (name: string): Entry => both(`durable-objects/contract-health/deliver.test.ts: ${name}`);
const webhookRequest = both(
  "workers/edge/webhooks/webhook-routes.workerd.test.ts: promise 9: has WEBHOOKS.bodyBytes, a description of WEBHOOKS.descriptionChars, WEBHOOKS.webhooks receivers, and no more",
);
const newColumn: Entry = {
  at: "r2-layout/promoted-request.test.ts: may have the longest name, the longest property and the longest doc",
  beyond: "r2-layout/promoted-request.test.ts: is refused for its %s %o, by name (promise 9)",
};
const contracts = (name: string): Entry => both(`workers/edge/contracts/contract-routes.workerd.test.ts: ${name}`);
const book = (name: string): Entry => both(`workers/edge/contracts/contract-book.test.ts: ${name}`);
const dashboards = (name: string): Entry => both(`workers/edge/dashboards.workerd.test.ts: ${name}`);
const dashboard: Entry = {
  at: "durable-objects/dashboards/parse-dashboard.test.ts: promise 9: is as large as its bounds allow",
  beyond: "durable-objects/dashboards/parse-dashboard.test.ts: promise 9: is refused for %s, by name",
};
const CLIENT_MESSAGE = "durable-objects/live-hub/client-message.test.ts";
const AUDIENCE = "durable-objects/live-hub/audience.test.ts";
const PAST_EVENTS = "workers/edge/past-events.test.ts";
const PLAN = "durable-objects/lake-catalog/compaction-plan.test.ts";
const QUEUE = "scripts/local/queue.test.ts";
const SENDER = "workers/edge/event-sender.test.ts";
const PAGES = "workers/edge/reading.workerd.test.ts";
const PROFILES = "durable-objects/user-timeline/online-features.test.ts";

const TESTED: Readonly<Record<string, Readonly<Record<string, Entry>>>> = {
  PLATFORM: {
    queueMessageBytes: { at: `${QUEUE}: a message of 128,000 bytes`, beyond: `${QUEUE}: one more` },
    queueSendBatchMessages: { at: `${QUEUE}: 100 messages a batch`, beyond: `${QUEUE}: 101` },
    queueSendBatchBytes: { at: `${QUEUE}: a batch of 256,000 bytes`, beyond: `${QUEUE}: a byte more` },
    queueMessagesPerSecond: both(
      "scripts/local/limits.test.ts: 5,000 messages a second enter a queue and one more does not",
    ),
    queueConsumerBatchMessages: both(
      "scripts/local/wrangler-config.test.ts: takes consumers of PLATFORM.queueConsumerBatchMessages messages a batch",
    ),
    subrequests: both("scripts/local/limits.test.ts: 10,000 subrequests of one invocation pass and one more fails"),
    simultaneousConnections: both(
      "scripts/local/limits.test.ts: six connections are open at once; the seventh waits and is answered too",
    ),
    rpcBytes: both("scripts/local/limits.test.ts: 32 MiB cross an RPC and a byte more does not, either way"),
    sqliteRowBytes: inRuntime("keeps a row of PLATFORM.sqliteRowBytes"),
    sqliteBoundParameters: inRuntime("binds PLATFORM.sqliteBoundParameters parameters and refuses one more"),
  },
  INGEST: {
    bodyBytes: ingest("reads a body up to the limit and not a byte more"),
    inflatedBytes: ingest("inflates up to the limit: a gzip bomb ends there"),
    eventsPerRequest: ingest("takes the largest number of events and refuses one more"),
    eventBytes: ingest("takes an event of the largest size, and drops a larger one"),
    jsonValues: ingest("refuses a body of more values than its heap could hold, before it parses it"),
    jsonDepth: ingest("takes an event of the deepest nesting, and drops a deeper one"),
    propertiesPerEvent: edge("has INGEST.propertiesPerEvent properties, further ones are not mapped"),
    propertyValueBytes: both(
      "r2-layout/log-line.test.ts: a property is as long as its bound allows, cut between characters",
    ),
    eventIdChars: {
      at: "workers/edge/ingest.workerd.test.ts: takes an id of exactly the longest length",
      beyond: "workers/edge/ingest.workerd.test.ts: keeps one bad event from costing its neighbours anything",
    },
    republishLabelChars: {
      at: "workers/edge/republish.workerd.test.ts: promise 9: take a label of the longest length",
      beyond:
        "workers/edge/republish.workerd.test.ts: promise 9: are refused under the label %j, before anything is read",
    },
    messageBytes: edge("has one message for as many lines as fit INGEST.messageBytes, and another for the next byte"),
    simultaneousSends: both(`${SENDER}: go in few calls, at most six at a time`),
    voidsPerMessage: both(`${SENDER}: leaves room for its name however many have failed`),
    futureSkewMs: edge("may be INGEST.futureSkewMs ahead, and is clamped and flagged beyond"),
    oldestEventTimeMs: edge("may be as old as INGEST.oldestEventTimeMs, and is clamped and flagged before"),
    lateAfterMs: edge("is late once it happened longer than INGEST.lateAfterMs ago"),
    retryAfterSeconds: noLimit("advice to the sender"),
    sendTimeoutMs: both(
      "workers/edge/pressure.workerd.test.ts: is answered 503 with Retry-After after INGEST.sendTimeoutMs, and not before",
    ),
    heldBytes: edge("is held with others up to INGEST.heldBytes, and let go of after INGEST.heldMs"),
    heldMs: edge("is held with others up to INGEST.heldBytes, and let go of after INGEST.heldMs"),
  },
  READING: {
    answerMs: both("workers/edge/pressure.workerd.test.ts: is slow, it is waited for, up to READING.answerMs"),
    sqlAnswerMs: noLimit("READING.answerMs, for statements: the same code with a longer time"),
  },
  LOG: {
    dedupWindowMs: both(
      "durable-objects/event-log/dedup-window.workerd.test.ts: lets go of an id once it has left the window",
    ),
    staleSegmentMs: both(
      "durable-objects/event-log/event-log.workerd.test.ts: of an object as old as the sweep's reach is refused",
    ),
    orphanGraceMs: queues("deletes what is older than LOG.orphanGraceMs, not what is as old"),
    idsPerRow: both(
      "durable-objects/event-log/dedup-window.workerd.test.ts: have rows of at most the bounded number of ids",
    ),
    idMemoryBytes: inRuntime("holds filters in memory up to its part of LOG.idMemoryBytes"),
    deliveries: noLimit("what wrangler.toml says of the queue, for the record of a parked message"),
    poisonDeliveries: both(
      "queues/fan-out/poison.workerd.test.ts: does not let a message that the log refuses take its neighbours with it, and parks it after bounded deliveries",
    ),
    segmentEvents: queues("becomes one segment of LOG.segmentEvents events; one event more is another segment's"),
    segmentsPerRead: both(
      "durable-objects/event-log/event-log.workerd.test.ts: hands out at most the bounded number of segments, on from the cursor",
    ),
    wakeIntervalMs: objects("is woken LOG.wakeIntervalMs after the last time where something moved"),
    wakeIntervalMaxMs: objects("is woken LOG.wakeIntervalMaxMs after the last time at most"),
    shards: both("r2-layout/shards.test.ts: are read from text, and nothing else is"),
    retentionDays: noLimit("how long the log is kept, by a lifecycle rule of the bucket"),
    dedupWindowDaysMin: objects(
      "the dedup window may be set to LOG.dedupWindowDaysMin..dedupWindowDaysMax days, no less and no more",
    ),
    dedupWindowDaysMax: objects(
      "the dedup window may be set to LOG.dedupWindowDaysMin..dedupWindowDaysMax days, no less and no more",
    ),
    ruleBytes: both(
      "durable-objects/event-log/redrive.workerd.test.ts: are refused out of order, under another's version, and beyond their bound",
    ),
    barredRules: both(
      "queues/fan-out/barred.workerd.test.ts: promise 9: rules are told LOG.barredRules at a time, and all of them are learnt",
    ),
    redriveLines: both(
      "durable-objects/event-log/redrive.workerd.test.ts: is refused where it is stale, and where its counts or origins cannot be",
    ),
    sources: inRuntime("counts LOG.sources sources one by one, and the rest together"),
    idsPerAudit: noLimit("about how many ids a page has; every page ends with where the next begins"),
  },
  SINK: {
    leaseMs: both("queues/sessions/lease-keeper.test.ts: is renewed well before it ends, once for all who wait"),
    stepEvents: queues("has SINK.stepEvents events; one more is the next step's"),
    stepBytes: queues("has SINK.stepBytes inflated bytes; one more is the next step's"),
    drainMs: both("queues/drain.workerd.test.ts: stops when its time is over, leaves the rest to the next wake-up"),
    callsPerInvocation: both(
      "queues/sessions/sink.workerd.test.ts: are taken from its budget; a step for which too few are left waits",
    ),
    poisonAttempts: both(
      "queues/poison.workerd.test.ts: promise 9: is given up at SINK.poisonAttempts, and not at one fewer",
    ),
    poisonSpreadMs: both(
      "queues/poison.workerd.test.ts: is tried for as long as SINK.poisonSpreadMs, however often that is",
    ),
    poisonRecentMs: noLimit("how long a hole makes the next one come sooner"),
    poisonInARow: both(
      "queues/poison.workerd.test.ts: is rather the store's fault where most is refused many times in a row",
    ),
    poisonHoldMs: noLimit("how long a drain waits that holds the store to be at fault"),
    poisonTrials: queues(
      "is tried in SINK.poisonTrials parts to find its lines; what is not told apart by then goes together",
    ),
  },
  QUARANTINE: {
    pageLimitMax: {
      at: "workers/edge/quarantine.workerd.test.ts: takes the largest limit",
      beyond: "workers/edge/quarantine.workerd.test.ts: refuses %s=%s by name",
    },
    pageLimitDefault: noLimit("a default"),
    objectsPerPage: queues("looks at QUARANTINE.objectsPerPage objects, and ends with a cursor where there are more"),
    holesPerAnswer: both(
      "queues/quarantine/hole-pages.test.ts: promise 9: go on after QUARANTINE.holesPerAnswer, the most of one answer: + %d",
    ),
    previewBytes: both(
      "workers/edge/quarantine.workerd.test.ts: are shown as text where they are, else as base64, and whole as they are",
    ),
    bodyBytes: edge("has a body of %s and no more"),
    cursorsAtOnce: noLimit("how many cursors are asked side by side"),
  },
  SESSIONS: {
    stepEvents: queues("has SINK.stepEvents events; one more is the next step's"),
    rebuildStepEvents: noLimit("what a driver is asked for: a step of more takes further invocations"),
    callsAtOnce: both("queues/sessions/sink.workerd.test.ts: calls each subject once for all its events of a step"),
    amendPairs: both("queues/sessions/amend.workerd.test.ts: promise 9: takes a bounded number of events"),
    compared: queues("compares SESSIONS.compared timelines and names SESSIONS.differences of them that differ"),
    differences: queues("compares SESSIONS.compared timelines and names SESSIONS.differences of them that differ"),
    keepSwappedMs: noLimit("how long what was swapped out is kept for readers that began before"),
  },
  ERASURE: {
    closureCalls: both(
      "queues/erasure/closure.test.ts: promise 9: asks ERASURE.closureCalls timelines and addresses, and says where there may be more",
    ),
    identifiers: erasures("promise 9: takes ERASURE.identifiers of ERASURE.identifierBytes each, in ERASURE.bodyBytes"),
    subjects: noLimit("room for a closure beside the identifiers, whose own bound is closureCalls"),
    subjectsPerRule: noLimit("how many hashes one rule has; a larger set is several rules"),
    identifierBytes: erasures(
      "promise 9: takes ERASURE.identifiers of ERASURE.identifierBytes each, in ERASURE.bodyBytes",
    ),
    bodyBytes: erasures("promise 9: takes ERASURE.identifiers of ERASURE.identifierBytes each, in ERASURE.bodyBytes"),
    overdueMs: noLimit("from when on a request is said to be overdue; it stays open all the same"),
    replacementsListed: both(
      "queues/erasure/purge.test.ts: name ERASURE.replacementsListed objects of a slice, and count further ones",
    ),
    recordsListed: both(
      "queues/erasure/stores/records.test.ts: are walked ERASURE.recordsListed at a time, to the last of them",
    ),
    previewMs: both(
      "queues/erasure/stale-lists.test.ts: promise 7: go with a preview that nobody confirms in ERASURE.previewMs, and not before",
    ),
    listGraceMs: both(
      "queues/erasure/stale-lists.test.ts: promise 7: go where a crash left them without a job, once ERASURE.listGraceMs is over, and after a withdrawal at once",
    ),
    checkedAmong: noLimit("of how many of the newest erasures some are looked for again each day"),
    checkedJobs: both(
      "queues/erasure/check.test.ts: looks for ERASURE.checkedJobs a day, each day others, until all have had their turn",
    ),
    checkedSubjects: both(
      "queues/erasure/check.test.ts: looks for ERASURE.checkedSubjects of an erasure's people at most",
    ),
    checkMs: both(
      "queues/erasure/check.test.ts: goes on in slices, and where a day's ERASURE.checkMs are used up on the day after, where it stood",
    ),
    checkStallMs: both(
      "queues/erasure/check.test.ts: is left to whoever is at it, and taken up again where nothing was heard of them for ERASURE.checkStallMs",
    ),
    checkFoundKept: noLimit("how many traces are remembered, the newest"),
  },
  LAKE_ERASURE: {
    filteredSubjects: noLimit("up to how many subjects Bloom filters are asked; for more each row group is read"),
    replacedTold: noLimit("replaced objects that one answer names; more are counted"),
    orphanDays: both(
      "queues/erasure/stores/orphan-objects.workerd.test.ts: promise 7: what nothing names and holds an erased person's rows goes, all else stays; LAKE_ERASURE.orphanDays back",
    ),
    hashedBytes: noLimit("how much of an object is hashed at once"),
  },
  LOG_ERASURE: {
    segmentsTold: both(SEGMENTS_WITH),
    rowsLooked: both(SEGMENTS_WITH),
    prefixBytesLooked: both(SEGMENTS_WITH),
    prefixesKept: both(
      "queues/erasure/stores/rewrite-segment.test.ts: says whom its lines may name up to LOG_ERASURE.prefixesKept of them, and nothing of more",
    ),
    replacedTold: both(
      "durable-objects/event-log/segment-subjects.workerd.test.ts: has its old objects told LOG_ERASURE.replacedTold at a time",
    ),
  },
  VIOLATIONS: {
    rangeMs: noLimit("a default"),
    rangeMaxMs: violationCause,
    textChars: violationCause,
    mappingSteps: both(
      "workers/edge/violations/mapping.test.ts: promise 9: has VIOLATIONS.mappingSteps steps and no more, each of one kind",
    ),
    bodyBytes: violationStory,
    causesListed: noLimit("the most frequent causes of an answer; a narrower question tells of the others"),
    samples: noLimit("how many events an answer shows"),
    sampleBytes: noLimit("how much of an event an answer shows; SQL has it all"),
    segmentsPerCall: noLimit("how much one call reads; the next goes on"),
    sliceMs: noLimit("how long one call reads; the next goes on"),
    trialHoursMax: violationStory,
    trialHours: noLimit("a default"),
    groupsTold: both(
      "workers/edge/violations/tally.test.ts: promise 9: tells VIOLATIONS.groupsTold groups apart, the most frequent first, and counts the rest",
    ),
    healthHoursMax: violationStory,
    healthHours: noLimit("a default"),
  },
  HEALTH: {
    settleMs: both(
      "queues/contract-health/evaluate-hours.test.ts: tells of an hour that is not whole, and judges it when it is: %s",
    ),
    idleMs: both(
      "queues/contract-health/evaluate-hours.test.ts: tells of an hour that is not whole, and judges it when it is: %s",
    ),
    openHours: judged("are judged from the newest on at first, then one after the other, HEALTH.openHours back"),
    eventsPerSlice: looked,
    events: looked,
    sources: both(
      "durable-objects/contract-health/contract-health.workerd.test.ts: promise 9: has HEALTH.sources sources",
    ),
    fields: looked,
    keptHours: judged("promise 9: are kept for HEALTH.keptHours"),
    baselineHours: noLimit("over how many hours what is usual is reckoned"),
    jumpShare: noLimit("from where on a rate is said to jump"),
    jumpFailures: judged("is a failure rate that jumps"),
    leastEvents: judged("is nothing of which nothing can be said"),
    recoveredHours: judged("is told once, however long it goes on"),
    sourceMs: judged(
      "is over where nobody expects it any more, and where its source has been gone for HEALTH.sourceMs",
    ),
    breaksOpen: judged("promise 9: are kept for HEALTH.keptHours"),
    breaksKept: judged("promise 9: are kept for HEALTH.keptHours"),
    breaksTold: both(
      "durable-objects/contract-health/contract-health.workerd.test.ts: promise 9: has HEALTH.sources sources",
    ),
    linesTold: noLimit("how many lines an answer shows; the event's own address has them all"),
  },
  WEBHOOKS: {
    webhooks: webhookRequest,
    urlChars: both("workers/edge/webhooks/receiver-url.test.ts: promise 9: has WEBHOOKS.urlChars characters"),
    descriptionChars: webhookRequest,
    bodyBytes: webhookRequest,
    answerMs: webhook("promise 9: that hangs is let go of after WEBHOOKS.answerMs"),
    retryMs: webhook("promise 9: that fails is called again after each of WEBHOOKS.retryMs"),
    restMs: webhook("rests longer with each failure, from WEBHOOKS.restMs to WEBHOOKS.restMaxMs"),
    restMaxMs: webhook("rests longer with each failure, from WEBHOOKS.restMs to WEBHOOKS.restMaxMs"),
    waiting: webhook("promise 9: there are WEBHOOKS.webhooks of; WEBHOOKS.waiting messages"),
    remembered: webhook("promise 9: there are WEBHOOKS.webhooks of; WEBHOOKS.waiting messages"),
    errorChars: webhook("that is nowhere says so, in WEBHOOKS.errorChars"),
  },
  ICEBERG: {
    tags: both(
      "durable-objects/lake-catalog/iceberg-steps.workerd.test.ts: promise 9: a cut is a tag on a snapshot with its rows",
    ),
    tokenRequestBytes: both(
      "workers/edge/iceberg.workerd.test.ts: promise 9: reads ICEBERG.tokenRequestBytes and not a byte more",
    ),
    credentialSeconds: noLimit("how long a reader's credentials are good; it asks for others"),
    publishIntervalMs: publishing("publishes at most once in ICEBERG.publishIntervalMs"),
    publishMs: noLimit("how long one invocation goes on; the next goes on where it stood"),
    manifestFiles: publishing("promise 9: a step of more than one invocation goes on where it stood"),
    filesPerPage: publishing("promise 9: a step of more than one invocation goes on where it stood"),
    smallManifestFiles: publishing("manifests are used again; ICEBERG.smallManifests"),
    smallManifests: publishing("manifests are used again; ICEBERG.smallManifests"),
    commitsPerSnapshot: both(
      "durable-objects/lake-catalog/iceberg-steps.workerd.test.ts: promise 9: folds ICEBERG.commitsPerSnapshot commits and leaves one more to the next step",
    ),
    metadataVersions: both(
      "durable-objects/lake-catalog/iceberg-steps.workerd.test.ts: promise 9: names ICEBERG.metadataVersions earlier versions of the metadata and forgets the one before",
    ),
    everySnapshotMs: icebergSnapshots,
    snapshotReachMs: icebergSnapshots,
    snapshots: icebergSnapshots,
  },
  LAKE: {
    rowGroupRows: layout("has row groups of LAKE.rowGroupRows rows, then another one"),
    rowGroupsPerFile: layout("has LAKE.rowGroupsPerFile days, each a row group; of more, neighbours share one"),
    batchRows: layout("is handed to the encoder in batches of LAKE.batchRows rows and LAKE.batchChars characters"),
    batchChars: layout("is handed to the encoder in batches of LAKE.batchRows rows and LAKE.batchChars characters"),
    buildTurnMs: noLimit("how long a build lets those before it end; then it begins beside them"),
    boundBytes: layout("bounds a text by LAKE.boundBytes of it"),
    rowGroupWideBytes: merge("ends a row group at LAKE.rowGroupWideBytes of wide values, though it has few rows"),
    rowGroupPackedBytes: merge("ends a row group at LAKE.rowGroupPackedBytes of what does not pack"),
    mergeOpenBytes: merge("ends a row group at LAKE.rowGroupPackedBytes of what does not pack"),
    windowBytes: noLimit("how much of an input is decoded at once"),
    batchWindowBytes: noLimit("how many used windows a batch keeps; then it is full"),
    fileBytes: merge("goes on in another file once one has LAKE.fileBytes"),
    splitDays: merge("leaves days beyond LAKE.splitDays in one file of many days"),
    bloomFilterBytes: both(
      "r2-layout/bloom-filter.test.ts: promise 9: has LAKE.bloomFilterBytes for as many values as need them, and no more for more",
    ),
    countedNames: merge("count the rows of their LAKE.countedNames most frequent names"),
    uploadPartBytes: both(
      "queues/maintenance/multipart-file.test.ts: promise 9: puts what stays below LAKE.uploadPartBytes",
    ),
    largeFileBytes: noLimit("from which size on a file is seldom merged again"),
    eventNamesPerFile: layout("lists LAKE.eventNamesPerFile names, and none where there are more"),
    staleFileMs: inRuntime("takes a file as old as LAKE.staleFileMs, and refuses an older one"),
    snapshotReachMs: {
      at: "queues/maintenance/maintenance.workerd.test.ts: promise 5: keeps the inputs of a compaction for as long as a snapshot reaches them",
      beyond:
        "queues/maintenance/maintenance.workerd.test.ts: deletes the inputs of a compaction once no snapshot reaches them",
    },
    compactAboveFiles: inRuntime(
      "leaves LAKE.compactAboveFiles small files of a day alone, and gives work for one more",
    ),
    compactInputs: inRuntime("gives LAKE.compactInputs files to one compaction, and no more"),
    wholeFileBytes: both(
      "queues/lake/large-files.test.ts: a file at LAKE.wholeFileBytes is one part, a larger one a part a row group",
    ),
    rewriteRows: both("queues/lake/large-files.test.ts: a rule changes and retracts the same rows of it"),
    plannedInputs: noLimit("how many files of a partition are looked at to choose a compaction's inputs"),
    quietMs: noLimit("how long a partition of few files waits for more"),
    settledMs: noLimit("how long until a small partition is made one file whatever it costs"),
    finishedBytes: inRuntime("merges a file below LAKE.finishedBytes, and leaves one of that size alone"),
    ownNames: both(
      `${PLAN}: gives LAKE.ownNames names of a day files of their own, the largest, and those that have some`,
    ),
    smallFileBytes: both(`${PLAN}: merges what is small, up to LAKE.smallFileBytes, with anything`),
    compactBytes: both(`${PLAN}: merges LAKE.compactBytes at once, and leaves the file with which there would be more`),
    filesPerPage: both(
      "durable-objects/lake-catalog/staging.workerd.test.ts: promise 9: gives out no more files at once than its page",
    ),
    tallyNames: both(
      "r2-layout/key-tally.test.ts: promise 9: tells as many names and differences apart as its bounds allow",
    ),
    differences: both(
      "r2-layout/key-tally.test.ts: promise 9: tells as many names and differences apart as its bounds allow",
    ),
    placeCacheBytes: both(
      "queues/lake/bounded-cache.test.ts: promise 9: keeps LAKE.placeCacheBytes, and of one byte more lets the oldest go",
    ),
    compactMs: noLimit("how long one invocation compacts; what is left goes on in another"),
    sweepKeys: queues("asks about LAKE.sweepKeys objects at once, and looks at LAKE.sweepObjects in one message"),
    sweepObjects: queues("asks about LAKE.sweepKeys objects at once, and looks at LAKE.sweepObjects in one message"),
  },
  CUT: {
    delayMs: cuts("a day is due half an hour after its midnight, and no sooner, and once"),
    waitMs: cuts("publishes a day as partial once it has waited"),
    versionEveryMs: cuts(
      "promise 8: late data makes a next version with its difference, not sooner than versions may come",
    ),
    checkEveryMs: noLimit("how often a young day is looked at for a next version"),
    checkOldEveryMs: noLimit("how often an old day is looked at for a next version"),
    youngMs: noLimit("which days are looked at more often"),
    checksAtOnce: noLimit("how many days one call looks at; the next one goes on"),
    catchUpDays: cuts("promise 9: catches up on CUT.catchUpDays days after an outage, and on none before"),
    retryMs: noLimit("how long what waits is left alone"),
    attempts: both("queues/maintenance/cuts.workerd.test.ts: gives up a tally whose files cannot be read, and says so"),
    mergeRounds: noLimit("how many merges a cut asks for; its other files stay as they are"),
    compareAttempts: noLimit("how often rollups that are behind are waited for"),
    holdMs: cuts("keeps a day's other compactions waiting while its cut's is to come, and not for ever"),
    workMs: noLimit("how long one invocation works on cuts; the next one goes on"),
    values: both("r2-layout/day-tally.test.ts: promise 9: tells CUT.values values of a column apart"),
    differences: cuts("promise 9: lists CUT.missing of what is missing, and CUT.differences of what differs"),
    missing: cuts("promise 9: lists CUT.missing of what is missing, and CUT.differences of what differs"),
    nameChars: history("takes a name of CUT.nameChars characters, and a body of CUT.bodyBytes bytes and not one more"),
    filesPerPage: cuts("gives out a cut's files in pages of CUT.filesPerPage, each once"),
    listDefault: noLimit("a default"),
    listMax: history("are listed page by page"),
    bodyBytes: history("takes a name of CUT.nameChars characters, and a body of CUT.bodyBytes bytes and not one more"),
  },
  RETENTION: {
    days: noLimit("a default"),
    daysMin: settings("takes times between RETENTION.daysMin and RETENTION.daysMax, and RETENTION.names names"),
    daysMax: settings("takes times between RETENTION.daysMin and RETENTION.daysMax, and RETENTION.names names"),
    names: settings("takes times between RETENTION.daysMin and RETENTION.daysMax, and RETENTION.names names"),
    filesPerCommit: both(
      "durable-objects/lake-catalog/retention.workerd.test.ts: a commit drops a bounded number of files, and says",
    ),
    snapshotsDefault: noLimit("a default"),
    snapshotsMax: history("are listed newest first, page by page, for those who may ask in SQL"),
  },
  DASHBOARDS: {
    dashboards: dashboards("promise 9: are DASHBOARDS.dashboards in all"),
    bodyBytes: dashboards("promise 9: has a body of DASHBOARDS.bodyBytes and not a byte more"),
    idChars: dashboard,
    nameChars: dashboard,
    tiles: dashboard,
    filterValues: dashboard,
    filterValueBytes: dashboard,
  },
  CONTRACT: {
    schemaDepth: both("r2-layout/contracts/json-schema.test.ts: may lie as deep as its bound says, and no deeper"),
    schemasMax: both(
      "r2-layout/contracts/json-schema.test.ts: may have as many schemas as its bound says, and no more",
    ),
    patternChars: both("r2-layout/contracts/json-schema.test.ts: may have expressions as long as their bound says"),
    documentBytes: contracts("takes a document of CONTRACT.documentBytes and not one byte more"),
    textBytes: contracts("takes a document of CONTRACT.documentBytes and not one byte more"),
    names: both(
      "durable-objects/contract-registry/contract-registry.workerd.test.ts: has CONTRACT.names event names, and not one more",
    ),
    versions: contracts("takes versions up to CONTRACT.versions, and tells CONTRACT.breaksTold"),
    breaksTold: contracts("takes versions up to CONTRACT.versions, and tells CONTRACT.breaksTold"),
    rulesBytes: contracts("sets what versions from now on must keep to"),
    rollouts: contracts("takes CONTRACT.rollouts sources, and not one more"),
    enforcedBytes: contracts("takes CONTRACT.enforcedBytes of documents, each once for a source, and not one more"),
    bookMs: book("is asked for by its first request, and not again for CONTRACT.bookMs"),
    bookWaitMs: book("promise 1: a new isolate takes events unchecked where the registry hangs"),
    bookRetryMs: book("stays what it was where the registry fails, and is asked for again after CONTRACT.bookRetryMs"),
  },
  PII: {
    saltMs: privacy("change with the period: a salt is of PII.saltMs"),
    saltGraceMs: both(
      "durable-objects/pii-key/pii-key.workerd.test.ts: is gone when its period and PII.saltGraceMs are over",
    ),
    keysKnown: privacy("are PII.keysPerRequest more with each request, and PII.keysKnown in all"),
    keyMs: privacy("are used for PII.keyMs and no longer"),
    keysPerRequest: privacy("are PII.keysPerRequest more with each request, and PII.keysKnown in all"),
    keyWaitMs: noLimit("a wait: the event is to be sent again"),
    keysAtOnce: both("queues/erasure/stores/keys.test.ts: destroys PII.keysAtOnce keys between two looks at the clock"),
    keysParallel: noLimit("how many calls are under way at once"),
    revealed: reveal,
    revealBytes: reveal,
    auditShards: searched("reads PII.auditShards shards"),
    auditShardsAtOnce: searched("reads PII.auditShards shards"),
    auditSegments: searched("reads PII.auditSegments segments of a shard"),
    auditLines: searched("reads PII.auditLines lines of a segment"),
    auditValues: found("looks at PII.auditValues values"),
    auditTextChars: found("looks at PII.auditTextChars characters"),
    auditFindings: found("keeps PII.auditFindings findings"),
    auditFieldChars: found("tells PII.auditFieldChars characters of a field"),
    auditReported: reported("promise 9: tells PII.auditReported findings"),
    auditDays: reported("promise 9: keeps PII.auditDays days"),
    reportDays: noLimit("a default"),
  },
  SCHEMA: {
    promotedColumns: both(
      "durable-objects/lake-catalog/schema.workerd.test.ts: promise 9: there are at most so many columns",
    ),
    nameChars: newColumn,
    docChars: newColumn,
    textBytes: both(
      "r2-layout/promoted-values.test.ts: a property's text becomes a value only where it says exactly one",
    ),
    roomyTexts: noLimit("from how many promoted texts on the encoder is given less room for each"),
    crampedBytes: noLimit("what it is given then"),
    crampedValues: noLimit("how often it looks then"),
    bodyBytes: both("workers/edge/schema.workerd.test.ts: refuses what is no JSON object, and a body beyond its bound"),
  },
  RULE: { fields: rules, values: rules, mapped: rules, places: rules, bytes: rules, propertyNameBytes: rules },
  PAST: {
    daysPerPage: both(`${PAST_EVENTS}: promise 9: looks at PAST.daysPerPage days`),
    bytesPerPage: both(`${PAST_EVENTS}: promise 9: looks at PAST.daysPerPage days`),
    filesPerDay: both(`${PAST_EVENTS}: promise 9: refuses a day of more than PAST.filesPerDay files`),
    filesAtOnce: noLimit("files read side by side"),
  },
  SUPPORT: {
    lookupChars: both("workers/edge/support.workerd.test.ts: promise 9: takes SUPPORT.lookupChars characters"),
    stitchedDevices: both(
      "durable-objects/user-timeline/stitched-view.test.ts: looks at SUPPORT.stitchedDevices devices, the newest",
    ),
    segmentsRead: noLimit("how far the quick way goes: what it does not find is sought in the lake"),
    exportEvents: both("workers/edge/export-events.test.ts: promise 9: has SUPPORT.exportEvents events"),
    archiveQuarantine: both(
      "workers/edge/person-archive.test.ts: promise 9: has SUPPORT.archiveQuarantine broken events",
    ),
    exportPages: both("workers/edge/export-events.test.ts: promise 9: reads SUPPORT.exportPages pages"),
  },
  EMAIL_INDEX: {
    objects: noLimit("among how many objects addresses are spread"),
    addressChars: both(
      "durable-objects/email-index/address.test.ts: promise 9: has EMAIL_INDEX.addressChars characters",
    ),
    subjectsPerAddress: both(
      "durable-objects/email-index/email-index.workerd.test.ts: promise 9: lists EMAIL_INDEX.subjectsPerAddress",
    ),
    addressesPerSubject: both(
      "queues/sessions/index-emails.workerd.test.ts: promise 9: are EMAIL_INDEX.addressesPerSubject of one subject",
    ),
  },
  TIMELINE: {
    eventsKept: timeline("the newest events up to its limit, by dropping whole chunks of the oldest"),
    bytesKept: timeline("no more stored bytes than its limit"),
    daysKept: inRuntime("was received within TIMELINE.daysKept, and is gone a moment later"),
    sessionGapMs: objects("a session goes on until TIMELINE.sessionGapMs of silence, and another begins then"),
    rowBytes: inRuntime("is closed into chunks beyond TIMELINE.rowBytes, and stands in the head row until then"),
    usersPerDevice: both(
      "durable-objects/user-timeline/subject-state.test.ts: knows, as a device, the users seen last, and says when there were more",
    ),
    devicesPerUser: both(
      "durable-objects/user-timeline/subject-state.test.ts: knows the devices seen last, in any order",
    ),
    sessionsInHead: inRuntime("keeps TIMELINE.sessionsInHead summaries of sessions that have expired"),
    lastValues: timeline(
      "a head row far below the platform's limit, whatever values, devices, sessions and names of %i characters are sent",
    ),
    valueChars: both(
      "durable-objects/user-timeline/subject-state.test.ts: promise 9: is cut, never within a character that takes two units",
    ),
    traitNameChars: timeline(
      "a head row far below the platform's limit, whatever values, devices, sessions and names of %i characters are sent",
    ),
    eventNames: timeline(
      "a head row far below the platform's limit, whatever values, devices, sessions and names of %i characters are sent",
    ),
    currencies: objects("a timeline sums TIMELINE.currencies currencies apart, and the rest together"),
    pageBytes: timeline("promise 9: stay small where events are large, and end with a cursor"),
    scanBytes: inRuntime("looks through TIMELINE.scanBytes of events that are not asked for, then ends with a cursor"),
    sessionsPerAnswer: both(
      `${PAGES}: promise 9: refuse more sessions than an answer has, instead of leaving some out`,
    ),
    pageLimitMax: { at: `${PAGES}: take the largest limit`, beyond: `${PAGES}: refuse %s=%s by name` },
    pageLimitDefault: noLimit("a default"),
    generationSeenMs: both(
      "queues/sessions/rebuild.workerd.test.ts: are seen by readers within the time that an isolate believes what it saw",
    ),
  },
  PROFILE: {
    eventNames: both(
      "durable-objects/user-timeline/online-features.test.ts: count PROFILE.eventNames names one by one, the shortest, and the rest together, in any order",
    ),
    properties: both(`${PROFILES}: promise 9: chooses PROFILE.eventNames names and PROFILE.properties properties`),
    nameChars: both(`${PROFILES}: promise 9: chooses PROFILE.eventNames names and PROFILE.properties properties`),
    batchUsers: both(
      "workers/edge/profile.workerd.test.ts: promise 9: has PROFILE.batchUsers users and PROFILE.batchBytes bytes",
    ),
    batchBytes: both(
      "workers/edge/profile.workerd.test.ts: promise 9: has PROFILE.batchUsers users and PROFILE.batchBytes bytes",
    ),
    callsAtOnce: both("workers/edge/profile-batch.test.ts: has PROFILE.callsAtOnce calls under way at most"),
    answerMs: both(
      "workers/edge/profile-batch.test.ts: answers the others where a timeline fails, or has not answered",
    ),
  },
  AUDIT: {
    againMs: both(`${AUDIT}: counts the same question of the same reader once in AUDIT.againMs`),
    remembered: both(`${AUDIT}: remembers AUDIT.remembered questions`),
    statementRead: both(`${AUDIT}: has AUDIT.statementChars of a statement, of its first AUDIT.statementRead`),
    statementChars: both(`${AUDIT}: has AUDIT.statementChars of a statement, of its first AUDIT.statementRead`),
    subjects: both(`${AUDIT}: names AUDIT.subjects people at most`),
    attempts: both(`${AUDIT}: is sent AUDIT.attempts times where queues fail`),
    againAfterMs: both(`${AUDIT}: is sent AUDIT.attempts times where queues fail`),
    entriesDefault: both(`${AUDIT}: is told AUDIT.entriesDefault at a time, or up to AUDIT.entriesMax`),
    entriesMax: both(`${AUDIT}: is told AUDIT.entriesDefault at a time, or up to AUDIT.entriesMax`),
    lookedBackMs: both(`${AUDIT}: is told AUDIT.entriesDefault at a time, or up to AUDIT.entriesMax`),
  },
  ACCESS: {
    assertionChars: both(`${ACCESS}: is refused where nobody of the team has signed it`),
    keysMs: both(`${ACCESS}: is held to keys that are asked for again after ACCESS.keysMs`),
    askAgainMs: both(`${ACCESS}: has a key that is not known looked for, every ACCESS.askAgainMs at most`),
    keysKeptMs: both(`${ACCESS}: is held to keys that are asked for again after ACCESS.keysMs`),
    answerMs: both(`${ACCESS}: is answered with 503 where no keys are known within ACCESS.answerMs`),
  },
  OWN: {
    tokenChars: both(
      "workers/edge/user-tokens.test.ts: is refused where nobody signed it, or by another algorithm, or where it is longer than",
    ),
    tokenSecondsMax: both("workers/edge/user-tokens.test.ts: may last OWN.tokenSecondsMax, and no longer"),
    tokenSecondsDefault: noLimit("a default"),
    keyBytesMin: both("workers/edge/user-tokens.test.ts: has keys of OWN.keyBytesMin bytes at least"),
    minutesMax: both("workers/edge/profile.workerd.test.ts: are of OWN.eventsMax events a page and OWN.minutesMax"),
    eventsMax: both("workers/edge/profile.workerd.test.ts: are of OWN.eventsMax events a page and OWN.minutesMax"),
    eventsDefault: noLimit("a default"),
    requestsAtOnce: both(
      `${PROFILES}: may ask OWN.requestsAtOnce times at once, and OWN.requestsPerMinute times a minute`,
    ),
    requestsPerMinute: both(
      `${PROFILES}: may ask OWN.requestsAtOnce times at once, and OWN.requestsPerMinute times a minute`,
    ),
  },
  TILES: {
    definitions: tileRoute,
    bodyBytes: tileRoute,
    nameChars: tileDefinition,
    dimensions: tileDefinition,
    funnelSteps: tileDefinition,
    keyBytes: both(`${TILE_STATE}: cuts a dimension's value to TILES.keyBytes`),
    valuesPerRow: both(`${TILE_STATE}: promise 9: keeps TILES.valuesPerRow values exactly; beyond`),
    sketchesPerRow: tileSketches,
    rowBytes: tileSketches,
    funnelActors: both(`${TILE_STATE}: promise 9: follows TILES.funnelActors users; beyond`),
    minutesKeptMs: tileReach,
    hoursKeptMs: tileReach,
    foldMs: noLimit("how long sums wait before they go into rows"),
    pendingBytes: noLimit("how much of them waits: beyond it they go into the rows at once"),
    stepEvents: noLimit("how much of a step is sent at once"),
    windows: noLimit("hours that are filled anew beyond it are joined with those between them"),
    rowsInMemory: noLimit("a cache: what is not in it is read"),
    liveStarts: noLimit("what a screen is shown of the past, by default"),
    publishedValues: tileShown,
    publishedSketches: tileShown,
    publishedBytes: tileShown,
    funnelEveryMs: noLimit("how often a screen is shown another state"),
    funnelHours: both(`${TILE_READ}: promise 9: is of TILES.funnelHours hours of a funnel, and not of one more`),
  },
  ROLLUP: {
    rebuildStepEvents: noLimit("what a driver is asked for, so that live events wait for short steps"),
    minutesKeptMs: objects("gives minutes of the last ROLLUP.minutesKeptMs, and refuses older ones by name"),
    finalAfterMs: both(
      "durable-objects/minute-rollup/minute-rollup.workerd.test.ts: is provisional, then final, and version 2 when a late event comes",
    ),
    valuesPerDimension: {
      at: "durable-objects/minute-rollup/rollup-state.test.ts: keeps 1,000 values exactly and is not approximate",
      beyond:
        "durable-objects/minute-rollup/rollup-state.test.ts: keeps the row small and the totals exact while a client invents a million names",
    },
    dimensionBytes: both(
      "durable-objects/minute-rollup/rollup-state.test.ts: bounds the bytes of long and hostile names too",
    ),
    currencies: both("durable-objects/minute-rollup/rollup-state.test.ts: keeps the row small and the totals exact"),
    rowsInMemory: noLimit("a cache: what is not in it is read"),
    recentBatches: both(`${TALLY}: promise 9: remembers ROLLUP.recentBatches batches and ROLLUP.recentValues values`),
    recentValues: both(`${TALLY}: promise 9: remembers ROLLUP.recentBatches batches and ROLLUP.recentValues values`),
    pointsPerAnswer: objects("gives ROLLUP.pointsPerAnswer points, and refuses a range of one more"),
    rebuildsAtOnce: both(
      "queues/rollups/rebuild.workerd.test.ts: promise 9: at most so many windows at once in an object",
    ),
    rebuildIdleMs: noLimit("how long a build that nobody goes on with is kept"),
    rebuildsRemembered: inRuntime(
      "remembers ROLLUP.rebuildsRemembered builds that have ended, and forgets the oldest beyond",
    ),
    differencesListed: inRuntime(
      "lists ROLLUP.differencesListed minutes that differ between two builds, and counts all of them",
    ),
    changesKeptMs: changes("keeps so many rows for so long, and the newest of them"),
    changeRows: changes("keeps so many rows for so long, and the newest of them"),
    changesPerRow: changes("more days than a row holds take further rows, and every row stays far below 2 MB"),
    changeCurrencies: changes("more days than a row holds take further rows, and every row stays far below 2 MB"),
    changesLimitDefault: noLimit("a default"),
    changesLimitMax: {
      at: "durable-objects/minute-rollup/change-log.workerd.test.ts: gives at most as many as it may, and says that there are more",
      beyond: "durable-objects/minute-rollup/change-log.workerd.test.ts: refuses %s with the parameter's name",
    },
  },
  LIVE: {
    minutes: objects(
      "shows LIVE.minutes minutes and LIVE.minutesAhead ahead of the clock, not one more on either side",
    ),
    minutesAhead: objects(
      "shows LIVE.minutes minutes and LIVE.minutesAhead ahead of the clock, not one more on either side",
    ),
    topPublished: objects("is told LIVE.topPublished values of a dimension by each shard, the largest"),
    topShown: both(
      "durable-objects/live-hub/live-board.test.ts: shows the largest 20 values and neither what has no value nor what was folded together",
    ),
    coalesceMs: noLimit("how long publishes are gathered"),
    frameIntervalMs: both(
      "durable-objects/live-hub/live-hub.workerd.test.ts: adds up four shards, gathers their publishes and sends a minute at most twice a second",
    ),
    sockets: inRuntime("takes LIVE.sockets sockets, and tells one more that there are too many"),
    leaves: both(
      "durable-objects/live-hub/tree.workerd.test.ts: takes LIVE.sockets at the root, as many at each of LIVE.leaves hubs below it",
    ),
    hubsKnownMs: both("workers/edge/live-hubs.test.ts: is a hub that the root names, which is remembered"),
    silenceMs: noLimit("how long a hub hears nothing before it asks again"),
    relayTimeoutMs: noLimit("how long a hub waits for another one before it tries again"),
    topics: both(`${CLIENT_MESSAGE}: has LIVE.topics topics and no more, which a message still has room for`),
    tiles: both("durable-objects/live-hub/tiles.workerd.test.ts: is one of LIVE.tiles that are looked at"),
    tileKeptMs: noLimit("how long what nobody looks at is kept ready"),
    tileValues: both("durable-objects/live-hub/tiles.workerd.test.ts: shows LIVE.tileValues of a start, the largest"),
    unread: both(`${CLIENT_MESSAGE}: may be LIVE.unread characters, and LIVE.unreadSilent of a client`),
    unreadSilent: both(`${CLIENT_MESSAGE}: may be LIVE.unread characters, and LIVE.unreadSilent of a client`),
    slowMs: both(`${AUDIENCE}: stops at LIVE.unread, tells the newest state of each item once`),
    subscribes: both(`${AUDIENCE}: ignores a few messages and changes of topics`),
    clientMessageBytes: both(
      `${CLIENT_MESSAGE}: closes the socket where it is bytes, longer than LIVE.clientMessageBytes`,
    ),
    clientMessages: both(`${AUDIENCE}: ignores a few messages and changes of topics`),
  },
  SQL: {
    statementBytes: sql("has SQL.statementBytes bytes and no more"),
    statementTokens: sql("has SQL.statementTokens words and no more"),
    statementDepth: sql("nests SQL.statementDepth brackets and no more"),
    statementWork: sql("nests CASE, CAST and the like within SQL.statementWork and no deeper"),
    statementChain: sql("has SQL.statementChain operators in a row, or set operations, and no more"),
    resultRows: sql("has SQL.resultRows rows and no more"),
    resultBytes: sql("has SQL.resultBytes bytes and no more"),
    streamedRows: sql("has SQL.streamedRows rows and no more where it is sent while it is made"),
    streamedBytes: sql("has SQL.streamedBytes bytes and no more where it is sent while it is made"),
    wholeBytes: both(
      "workers/query/results/sending.test.ts: keeps SQL.wholeBytes before it sends anything, and no more where it can be sent in part",
    ),
    unreadBytes: noLimit("how far a writer may be ahead of its reader before it waits"),
    stallMs: both(
      "workers/query/results/outbox.test.ts: promise 9: a reader may take nothing for SQL.stallMs, and no longer",
    ),
    stallBesideOthersMs: both(
      "workers/query/results/streaming.miniflare.test.ts: a client that reads nothing is given up where others wait, and its answer ends in what cannot be read",
    ),
    outboxBytes: noLimit("beside how much of unread answers the next statement begins"),
    cachedResultBytes: both(
      "workers/query/cache/result-cache.test.ts: promise 9: keeps a result of SQL.cachedResultBytes bytes and none that is larger",
    ),
    cacheBytes: both(
      "workers/query/cache/result-cache.test.ts: promise 9: keeps SQL.cacheBytes bytes and no more; what was asked for longest ago goes",
    ),
    cachedResults: both(
      "workers/query/cache/result-cache.test.ts: promise 9: keeps SQL.cachedResults results and no more",
    ),
    cachedMs: both(
      "workers/query/cache/result-cache.test.ts: promise 7: keeps a result for SQL.cachedMs and no longer, however often it is asked for",
    ),
    stalenessMaxS: both(
      "workers/query/sql-request.test.ts: takes %s up to its bound, and says which parameter is beyond",
    ),
    timeoutMs: noLimit(
      "the default of a setting; that it ends a statement is tested with a shorter one (engine.miniflare.test.ts)",
    ),
    engineBytes: sql("heap, result and the fewest pages take SQL.engineBytes together and no more"),
    heapBytes: sql(
      "DuckDB may count SQL.queryBytes as its own, its heap grows to SQL.heapBytes, and an isolate has room for both",
    ),
    queryBytes: sql(
      "DuckDB may count SQL.queryBytes as its own, its heap grows to SQL.heapBytes, and an isolate has room for both",
    ),
    prefetchBytes: sql("pages take SQL.prefetchBytes, less where heap and result need the room"),
    heldFooterBytes: both(
      "workers/query/prefetch/lake-reader.test.ts: holds SQL.heldFooterBytes of footers and no more: the end of another file is read again",
    ),
    scanBytes: sql("reads SQL.scanBytes of column data, in SQL.readsPerStatement reads, and no more"),
    readsPerStatement: sql("reads SQL.scanBytes of column data, in SQL.readsPerStatement reads, and no more"),
    filesLookedAt: noLimit(
      "how many files of a statement that is too large are narrowed down by their bounds before it is refused",
    ),
    filesPerStatement: sql("reads SQL.filesPerStatement files and no more"),
    engines: noLimit("how many objects share the statements"),
    waitMs: noLimit("how long a statement waits for its turn"),
    waiting: both(
      "workers/query/engine/engine-slot.test.ts: promise 9: SQL.waiting wait or run and no more; one of another token takes the place of who has most",
    ),
    lightBytes: both(
      "workers/query/gate/light.test.ts: a statement over files of SQL.lightBytes bytes and SQL.lightRows rows is light, and over more it is not",
    ),
    lightRows: both(
      "workers/query/gate/light.test.ts: a statement over files of SQL.lightBytes bytes and SQL.lightRows rows is light, and over more it is not",
    ),
    guestMs: noLimit("how long a light statement may make a heavy one wait; after that it takes its turn"),
    statementsAtOnce: both(
      "durable-objects/query-budget/usage.test.ts: promise 9: allows SQL.statementsAtOnce under way and no more, and says that a moment may be enough",
    ),
    placeMs: both(
      "durable-objects/query-budget/statements.test.ts: a place is held for SQL.placeMs and no longer, whether or not its statement ever ends",
    ),
    endedKeptMs: both(
      "durable-objects/query-budget/statements.test.ts: how a statement ended is kept for SQL.endedKeptMs and no longer",
    ),
    endedKept: both(
      "durable-objects/query-budget/statements.test.ts: how SQL.endedKept statements ended is kept, the newest of them, and all that are under way",
    ),
    earlyCancelMs: both(
      "workers/query/gate/early-cancels.test.ts: a cancellation is remembered for SQL.earlyCancelMs and no longer",
    ),
    earlyCancels: both(
      "workers/query/gate/early-cancels.test.ts: SQL.earlyCancels are remembered and no more, the newest of them",
    ),
    statementsPerMinute: both(
      "durable-objects/query-budget/usage.test.ts: allows exactly the statements of a minute, then says when to come back",
    ),
    bytesPerDay: both("durable-objects/query-budget/usage.test.ts: bytes are counted until the day ends"),
  },
  TRINO: {
    pageChars: both("workers/query/trino/pages.test.ts: ends a page at TRINO.pageChars, and not one before"),
    pageBytesMax: both("workers/query/trino/pages.test.ts: takes a row of TRINO.pageBytesMax bytes and none longer"),
    resultBytes: both(
      "workers/query/trino/pages.test.ts: takes as many bytes in all as it is told, TRINO.resultBytes, and no more",
    ),
    pollWaitMs: noLimit("how long a poll waits for something to say"),
    idleMs: both(
      "workers/query/trino/result-spool.test.ts: is let go some time after the last that was asked, sooner once all was given",
    ),
    endedMs: both(
      "workers/query/trino/result-spool.test.ts: is let go some time after the last that was asked, sooner once all was given",
    ),
  },
  REPLAY: {
    sliceMs: noLimit("how long one invocation works; what is left goes on in another"),
    duty: noLimit("the share of time in which a job works"),
    roomMaxMs: noLimit("the longest pause between two steps"),
    roomRounds: noLimit("how many rounds of a rebuild make room for live traffic"),
    leaseMs: noLimit("how long a lease lasts without renewal"),
    stepEvents: queues("reads REPLAY.stepBytes of segments in one step, and as many events as its target wants"),
    stepBytes: queues("reads REPLAY.stepBytes of segments in one step, and as many events as its target wants"),
    rate: noLimit("a default"),
    rateMax: edge(
      "asks for REPLAY.rateMax events a second, REPLAY.auditDays days, a note of REPLAY.noteChars, and no more",
    ),
    resendMs: noLimit("how long a message is waited for before it is sent again"),
    retryMs: noLimit("the wait after a failure"),
    retryMaxMs: noLimit("the longest wait after failures"),
    attempts: both(
      "durable-objects/replay-desk/desk.workerd.test.ts: of a lasting kind end a job after REPLAY.attempts without progress",
    ),
    liveLagMs: queues(
      "stands back for a live sink that lags by more than REPLAY.liveLagMs, for REPLAY.standBackMaxMs at most",
    ),
    quietMs: noLimit("how long without a commit before a job makes no room"),
    standBackMs: noLimit("how long a job waits before it looks again"),
    standBackMaxMs: queues(
      "stands back for a live sink that lags by more than REPLAY.liveLagMs, for REPLAY.standBackMaxMs at most",
    ),
    lagShards: queues("asks REPLAY.lagShards shards for their lag, however many there are"),
    lookAgainMs: noLimit("how long a job waits before it looks again"),
    asideMs: noLimit("how long a rule waits for a sink before it lets replays of it go on"),
    openJobs: both("durable-objects/replay-desk/desk.workerd.test.ts: promise 9: at most "),
    jobsKept: both("durable-objects/replay-desk/desk.workerd.test.ts: promise 9: of the ended the newest "),
    jobsListed: noLimit("a default"),
    jobsListedMax: edge("asks for REPLAY.jobsListedMax jobs and no more"),
    bodyBytes: edge("has a body of %s and no more"),
    keyChars: edge("an Idempotency-Key of an administrative request has REPLAY.keyChars characters and no more"),
    noteChars: edge(
      "asks for REPLAY.rateMax events a second, REPLAY.auditDays days, a note of REPLAY.noteChars, and no more",
    ),
    errorChars: noLimit("how much of an error's text is kept"),
    samples: noLimit("how many rows a preview shows"),
    hourRanges: queues("remembers REPLAY.hourRanges ranges of hours and builds REPLAY.windows windows"),
    windows: queues("remembers REPLAY.hourRanges ranges of hours and builds REPLAY.windows windows"),
    readAlong: noLimit("how many segments that nobody asked for are read rather than a part begun anew"),
    uncorrectedListed: queues(
      "names REPLAY.uncorrectedListed places that a rule could not reach, and counts further ones",
    ),
    shardsAtOnce: noLimit("how many shards are asked side by side"),
    pairsAtOnce: noLimit("how many timelines one call amends; the others follow"),
    placesPerRule: queues("names REPLAY.placesPerRule places in one rule of a settlement, and further ones in another"),
    republishedMs: noLimit("how far back an audit looks for copies of what was republished"),
    republishedReads: noLimit("in how many parts it reads for that; more are joined"),
    settleIds: noLimit("how many ids are looked for in one pass over the lake; the others follow"),
    settleReachMs: noLimit("how far around an event its older copies are looked for"),
    decisionWaitMs: noLimit("how long a settlement lets people decide"),
    settledDays: noLimit("how long the counts of settlements are kept"),
    settledRows: inRuntime(
      "gives REPLAY.settledRows rows of what was settled, and forgets what is older than it is told",
    ),
    auditDays: edge(
      "asks for REPLAY.rateMax events a second, REPLAY.auditDays days, a note of REPLAY.noteChars, and no more",
    ),
  },
};

const files = new Map<string, string>();
function textOf(file: string): string {
  let text = files.get(file);
  if (text === undefined) {
    text = readFileSync(join(import.meta.dirname, file), "utf8");
    files.set(file, text);
  }
  return text;
}

/** Whether a test's title begins so, in one piece. */
const hasTest = (file: string, name: string): boolean =>
  ['"', "`", "'"].some((quote) => textOf(file).includes(`${quote}${name}`));

const GROUPS = Object.entries(limits).flatMap(([name, group]) =>
  typeof group === "object" ? [[name, group] as const] : [],
);

describe.each(GROUPS)("%s", (group, keys) => {
  const entries = TESTED[group] ?? {};

  it.each(Object.keys(keys))(`${group}.%s is met and gone beyond by a test, or is no limit`, (key) => {
    const entry = entries[key];
    expect(entry, `${group}.${key} is not in test/limits.test.ts: name its tests`).toBeDefined();
    if ("noLimit" in entry!) return;
    for (const ref of new Set([entry!.at, entry!.beyond])) {
      const [file, name] = [ref.slice(0, ref.indexOf(": ")), ref.slice(ref.indexOf(": ") + 2)];
      expect(name.length, `${group}.${key} names no test`).toBeGreaterThan(0);
      expect(hasTest(file, name), `test/${file} has no test "${name}"`).toBe(true);
      expect(textOf(file), `test/${file} does not name ${key}`).toMatch(new RegExp(`\\b${key}\\b`));
    }
  });

  it(`has no entry for a key that is gone`, () => {
    expect(Object.keys(entries).filter((key) => !(key in keys))).toEqual([]);
  });
});
