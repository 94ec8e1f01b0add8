/**
 * What the simulator must notice: each takes one check out of the real code, by text that occurs exactly once in its
 * file. `npm run test:mutations` runs the simulator with one after the other and fails where one survives.
 */
import type { Mutation } from "./hooks.ts";

export interface NamedMutation extends Mutation {
  /** What is gone. */
  readonly name: string;
}

const SHARD_LOG = "durable-objects/event-log/shard-log.ts";
const WINDOW = "durable-objects/event-log/dedup-window.ts";
const RUNS = "durable-objects/event-log/id-runs.ts";
const FAN_OUT = "queues/fan-out/fan-out.ts";
const PLAN = "queues/fan-out/plan-commit.ts";
const CURSORS = "durable-objects/sink-cursor/cursor-table.ts";
const CATALOG = "durable-objects/lake-catalog/lake-catalog.ts";
const ROLLUPS = "durable-objects/minute-rollup/rollup-store.ts";
const TIMELINE = "durable-objects/user-timeline/timeline.ts";
const SENDER = "workers/edge/event-sender.ts";

export const MUTATIONS: readonly NamedMutation[] = [
  {
    name: "log: a commit asks which ids are owned",
    file: SHARD_LOG,
    edits: [["    if (owned.length > 0) {\n      return {", "    if (owned.length > 1e9) {\n      return {"]],
  },
  {
    name: "log: an old segment is refused as stale",
    file: SHARD_LOG,
    edits: [['if (segment && segment.writtenAt + LOG.staleSegmentMs <= nowMs) return { kind: "stale" };', ""]],
  },
  {
    name: "log: what is in memory is forgotten after a rollback",
    file: "durable-objects/event-log/event-log.ts",
    edits: [["this.#log.forget();\n      throw error;", "throw error;"]],
  },
  {
    name: "log: the head moves in the commit's transaction",
    file: SHARD_LOG,
    edits: [
      [
        "head: segment ? row.head + 1 : row.head,",
        "head: segment ? row.head + (row.head % 5 === 4 ? 2 : 1) : row.head,",
      ],
    ],
  },
  {
    name: "window: recent ids become a run before their rows go",
    file: WINDOW,
    edits: [["this.#runs.add(ids.words(), oldestAt, newest);", "void [ids, oldestAt, newest];"]],
  },
  {
    name: "window: runs are asked, not only recent commits",
    file: WINDOW,
    edits: [["this.#runs.mark(words, owned);", ""]],
  },
  {
    name: "window: inputs stay live until the merged run is",
    file: RUNS,
    edits: [
      [
        'this.#insertRun(fromAt, toAt, ids, "building", numbers);',
        'this.#insertRun(fromAt, toAt, ids, "building", numbers); this.drop(numbers);',
      ],
    ],
  },
  {
    name: "fan-out: a message is acked after its commit",
    file: FAN_OUT,
    edits: [
      [
        "    try {\n      await commitGroup(group, deps);",
        "    for (const message of messages) message.ack();\n    try {\n      await commitGroup(group, deps);",
      ],
    ],
  },
  {
    name: "fan-out: a message that the log owns is left out",
    file: PLAN,
    edits: [
      [
        "if (!seenMessages.add(messageWords, i) || owned.messages[i] === 1) {",
        "if (!seenMessages.add(messageWords, i)) {",
      ],
    ],
  },
  {
    name: "fan-out: a line whose id is owned is left out",
    file: PLAN,
    edits: [
      [
        "if (!seen.add(words, first + line) || owned.ids[first + line] === 1) continue;",
        "if (!seen.add(words, first + line)) continue;",
      ],
    ],
  },
  {
    name: "fan-out: the object is there before the commit names it",
    file: FAN_OUT,
    edits: [["await bucket.put(key, body, {});", "bucket.put(key, body, {}).catch(() => {});"]],
  },
  {
    name: "drain: an effect comes before its cursor",
    file: "queues/sink.ts",
    edits: [
      [
        'if ((await effect(step)) === "unfinished") return { moved: false, cursor: step.from };\n      return',
        "effect(step).catch(() => {});\n      return",
      ],
    ],
  },
  {
    name: "cursor: a move starts where the cursor is",
    file: CURSORS,
    edits: [
      [
        "if (!row || row.token !== token || row.cursor !== from) return { moved: false, cursor: row?.cursor ?? 0 };",
        "if (!row || row.token !== token) return { moved: false, cursor: row?.cursor ?? 0 };",
      ],
    ],
  },
  {
    name: "cursor: a move has the newest token",
    file: CURSORS,
    edits: [
      [
        "if (!row || row.token !== token || row.cursor !== from) return { moved: false, cursor: row?.cursor ?? 0 };",
        "if (!row || row.cursor !== from) return { moved: false, cursor: row?.cursor ?? 0 };",
      ],
    ],
  },
  {
    name: "catalog: an append is refused unless the cursor moves",
    file: CATALOG,
    edits: [['if (!moved.moved) return { kind: "behind", cursor: moved.cursor };', ""]],
  },
  {
    // Both: without the first alone, the second refuses.
    name: "catalog: a replacement is refused where an input is gone, or its rows are others",
    file: CATALOG,
    edits: [
      [
        'if (missing.length > 0) return { kind: "conflict", missing };\n      const files = removed.map(({ file }) => file!);',
        "const files = removed.flatMap(({ file }) => (file ? [file] : []));",
      ],
      [
        'if (operation === "compact" && !sameRows(files, commit.add)) {',
        "if (removed.length < 0 && !sameRows(files, commit.add)) {",
      ],
    ],
  },
  {
    name: "catalog: a file with an old key is refused",
    file: CATALOG,
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is code.
    edits: [["throw new RangeError(`${file.key} is too old to be added`);", "return;"]],
  },
  {
    name: "sweep: young objects are left alone",
    file: "queues/maintenance/sweep.ts",
    edits: [["nowMs - uploaded.getTime() > LOG.orphanGraceMs", "nowMs - uploaded.getTime() > 0"]],
  },
  {
    name: "sweep: the log is asked before an object goes",
    file: "durable-objects/event-log/segment-table.ts",
    edits: [["return this.#nowhere(keys.filter((key) => !named.has(key)));", "return [...keys];"]],
  },
  {
    name: "sweep: the catalog is asked before a file goes",
    file: CATALOG,
    edits: [["return keys.filter((key) => !this.#files.has(key) && !this.#staging.has(key));", "return [...keys];"]],
  },
  {
    name: "timeline: events at or below the last seq are skipped",
    file: TIMELINE,
    edits: [["if (!state.isApplied(shard, seq)) {", "if (seq > 0) {"]],
  },
  {
    name: "timeline: skipped events still name their device",
    file: TIMELINE,
    edits: [['if (event.anonymous_id && append.subject.kind === "user") pointers.add(event.anonymous_id);', ""]],
  },
  {
    name: "timeline: memory is thrown away after a rollback",
    file: "durable-objects/user-timeline/user-timeline.ts",
    edits: [["this.#timeline = new Timeline(this.ctx.storage.sql);\n      throw error;", "throw error;"]],
  },
  {
    name: "rollups: a batch is applied only right after the last seq",
    file: ROLLUPS,
    edits: [["const follows = batch.from === before.lastSeq + 1;", "const follows = batch.to > before.lastSeq;"]],
  },
  {
    name: "rollups: a batch that was applied is not applied again",
    file: ROLLUPS,
    edits: [["if (!follows || batch.to < batch.from) {", "if (batch.to < batch.from) {"]],
  },
  {
    name: "rollups: memory is forgotten after a rollback",
    file: ROLLUPS,
    edits: [["  forget(): void {\n    this.#rows.forget();", "  forget(): void {"]],
  },
  {
    name: "rollups: a sink that is ahead reads its step anew",
    file: "queues/rollups/sink.ts",
    edits: [
      [
        "const rest = after === step.from ? step.events : step.events.filter(({ log_seq }) => log_seq > after);",
        "const rest = step.events;",
      ],
    ],
  },
  {
    name: "edge: a send that failed is declared void",
    file: SENDER,
    edits: [["for (const message of messages) voids.set(message.number, message.events);", ""]],
  },
  {
    name: "edge: a void is said until a message with it is on the queue",
    file: SENDER,
    edits: [
      [
        "const voids = [...outbox.voids].slice(0, INGEST.voidsPerMessage);",
        "const voids = [...outbox.voids].slice(0, INGEST.voidsPerMessage); for (const [n] of voids) outbox.voids.delete(n);",
      ],
    ],
  },
  {
    name: "log: a message that was void and comes is counted",
    file: "durable-objects/event-log/edge-gaps.ts",
    edits: [["accepted += message.events; // It was void", "// It was void"]],
  },
];
