/**
 * What the simulator must notice: each takes one check out of the real code, by text that occurs exactly once in its
 * file. `npm run test:mutations` runs the simulator with one after the other and fails where one survives.
 */
import type { Mutation } from "./hooks.ts";

export interface NamedMutation extends Mutation {
  /** What is gone. */
  readonly name: string;
  /** The scenario that is to notice it, tried before all others. */
  readonly scenario?: string;
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
        "  try {\n    await commitAll(group, deps);",
        "  for (const message of messages) message.ack();\n  try {\n    await commitAll(group, deps);",
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
  {
    name: "split: the parent refuses what is grouped by an older number",
    file: SHARD_LOG,
    edits: [["if (commit.epoch !== epoch || (epoch > 0 && !commit.shards))", "if (commit.epoch > epoch)"]],
  },
  {
    name: "split: a child asks its parent for ids of before",
    file: "durable-objects/event-log/inheritance.ts",
    edits: [
      [
        "if (packed.byteLength === 0 || !lineage.inherits(Date.now())) return null;",
        "if (packed.byteLength >= 0) return null;",
      ],
    ],
  },
  {
    name: "split: the parent is told before the child takes its first event",
    file: "durable-objects/event-log/inheritance.ts",
    edits: [["if (parent === null || settled) return;", "if (parent !== 1e9 || settled) return;"]],
  },
  {
    name: "split: a part names the ids that it had before",
    file: "queues/fan-out/route.ts",
    edits: [["const earlier = shards.slice(header.epoch, -1).map(idUnder);", "const earlier: Uint8Array[] = [];"]],
  },
  {
    name: "rules: an append that knows an older rule is refused",
    file: CATALOG,
    edits: [
      [
        'if (rules < this.#rules.newest) return { kind: "rules", version: this.#rules.newest };\n      const moved',
        "const moved",
      ],
    ],
  },
  {
    name: "rules: a compaction that knows an older rule is refused",
    file: CATALOG,
    edits: [
      [
        'if (rules < this.#rules.newest) return { kind: "rules", version: this.#rules.newest };\n      // A compaction',
        "// A compaction",
      ],
      ["file?.rules !== rules", "file === null"],
    ],
  },
  {
    name: "rules: a batch that knows an older rule is refused by the rollups",
    file: ROLLUPS,
    edits: [["if (rules < before.rules) return", "if (rules < 0) return"]],
  },
  {
    name: "rules: an append that knows an older rule is refused by a timeline",
    file: "durable-objects/user-timeline/subject-state.ts",
    edits: [["if (rules >= this.#rules) return;", "if (rules >= 0) return;"]],
  },
  {
    name: "rules: the stores' fences come before their rewriting",
    file: "workers/pipeline/replays.ts",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is code.
    edits: [["await everyShard((shard) => rollups.getByName(`core:${shardName(shard)}`).raise(version));", ""]],
  },
  {
    name: "rules: one that a shard has keeps its place",
    file: SHARD_LOG,
    edits: [["const known = this.places.seqOfRule(rule);\n    if (known !== null) return known;", ""]],
  },
  {
    name: "redrive: what was committed once keeps its seq",
    file: SHARD_LOG,
    edits: [['if (known !== null) return { kind: "committed", seq: known };', "void known;"]],
  },
  {
    name: "redrive: lines that came back before are refused",
    file: SHARD_LOG,
    edits: [
      ['if (known !== null) return { kind: "committed", seq: known };', "void known;"],
      ['if (before.length > 0) return { kind: "redriven", origins: before };', "void before;"],
    ],
  },
  {
    name: "redrive: whoever reads the log later leaves the original lines out",
    file: "durable-objects/event-log/segment-log.ts",
    edits: [["if (skips.size === 0) return refs;", "if (skips.size >= 0) return refs;"]],
  },
  {
    name: "holes: a lease names what was decided",
    file: CURSORS,
    edits: [["...(holes.length > 0 && { holes })", "...(holes.length > 1e9 && { holes })"]],
  },
  {
    name: "holes: an outage is no refusal",
    file: "queues/refusal.ts",
    edits: [
      ["if (flags.retryable || flags.overloaded || flags.durableObjectReset) return false;", ""],
      ["const REFUSAL_TEXTS = [", "const REFUSAL_TEXTS = [\n  /^Network connection lost/,"],
    ],
  },
  {
    name: "rebuild of the lake: a step that was staged is not staged again",
    file: "durable-objects/lake-catalog/staging.ts",
    edits: [
      [
        'if (this.#sql.exec("SELECT 1 FROM staged_step WHERE job = ? AND step = ?", job, step).toArray().length > 0) {',
        "if (step < 0) {",
      ],
      [
        '"INSERT INTO staged_step VALUES (?, ?, ?, ?, ?, ?)"',
        '"INSERT OR REPLACE INTO staged_step VALUES (?, ?, ?, ?, ?, ?)"',
      ],
    ],
  },
  {
    name: "correction of the lake: a file that came meanwhile is looked at",
    file: "durable-objects/lake-catalog/staged-changes.ts",
    edits: [['if (this.#overlooked(job, operation, rules, looked)) return { kind: "conflict", missing: [] };', ""]],
  },
  {
    name: "correction of the lake: a swap is made once",
    file: "durable-objects/lake-catalog/staged-changes.ts",
    edits: [['if (known?.state === "swapped" || known?.state === "confirmed") return known.swapped!;', ""]],
  },
  {
    name: "rebuild of the rollups: a step that was added is not added again",
    file: "durable-objects/minute-rollup/rebuilds.ts",
    edits: [
      ["if (step <= rebuild.step) return { step: rebuild.step };", ""],
      ["if (step > rebuild.step + 1) throw", "if (step > rebuild.step + 1e9) throw"],
    ],
  },
  {
    name: "rebuild of the rollups: live batches go to the build, too",
    file: "durable-objects/minute-rollup/rebuilds.ts",
    edits: [["this.#fold(rebuild, deltas, keptFrom);\n    }\n  }", "}\n  }"]],
  },
  {
    name: "rebuild of the sessions: leases of before a switch are fenced off",
    file: CURSORS,
    edits: [["cursor = ?, moved_at = ?, token = token + 1, owner = NULL", "cursor = ?, moved_at = ?, owner = NULL"]],
  },
  {
    name: "replays: what an older lease saves is refused",
    file: "durable-objects/replay-desk/desk.ts",
    edits: [
      [
        'if (!found || found.token !== token || found.owner === null) return { kind: "lost" };',
        'if (!found) return { kind: "lost" };',
      ],
    ],
  },
];
