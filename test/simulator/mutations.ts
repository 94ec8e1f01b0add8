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
  /** One that has noticed it, where that takes many: tried before the scenario, as long as the code leaves its run as it was. */
  readonly seed?: number;
  /** Only runs in which custom rollups are defined can notice it. */
  readonly tiles?: true;
  /** Only runs in which people are erased can. */
  readonly erasures?: true;
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
const WHOLE_BUILD = "queues/sessions/whole-build.ts";
const STAGED = "durable-objects/lake-catalog/staged-changes.ts";
const REBUILDS = "durable-objects/minute-rollup/rebuilds.ts";
const RULE_JOB = "queues/replay/rule-job.ts";
const DESK = "durable-objects/replay-desk/desk.ts";
const TILE_STORE = "durable-objects/tile-rollup/tile-store.ts";

export const MUTATIONS: readonly NamedMutation[] = [
  {
    name: "log: a commit asks which ids are owned",
    file: SHARD_LOG,
    edits: [["    if (owned.length > 0) {\n      return {", "    if (owned.length > 1e9) {\n      return {"]],
  },
  {
    name: "log: an old segment is refused as stale",
    scenario: "freeze",
    file: SHARD_LOG,
    edits: [['if (segment && segment.writtenAt + LOG.staleSegmentMs <= nowMs) return { kind: "stale" };', ""]],
  },
  {
    name: "log: what is in memory is forgotten after a rollback",
    scenario: "disk",
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
    scenario: "merges",
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
    scenario: "stragglers",
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
    scenario: "compaction",
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
    scenario: "freeze",
    file: CATALOG,
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is code.
    edits: [["throw new RangeError(`${file.key} is too old to be added`);", "return;"]],
  },
  {
    name: "sweep: young objects are left alone",
    scenario: "sweep",
    file: "queues/maintenance/sweep.ts",
    edits: [["nowMs - uploaded.getTime() > LOG.orphanGraceMs", "nowMs - uploaded.getTime() > 0"]],
  },
  {
    name: "sweep: the log is asked before an object goes",
    scenario: "sweep",
    file: "durable-objects/event-log/segment-table.ts",
    edits: [["return this.#nowhere(keys.filter((key) => !named.has(key)));", "return [...keys];"]],
  },
  {
    name: "sweep: the catalog is asked before a file goes",
    scenario: "sweep",
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
    scenario: "disk",
    file: "durable-objects/user-timeline/user-timeline.ts",
    edits: [["this.#timeline = this.#load();\n      throw error;", "throw error;"]],
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
    scenario: "disk",
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
    scenario: "split",
    seed: 3989,
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
    scenario: "split",
    file: SHARD_LOG,
    edits: [["if (commit.epoch !== epoch || (epoch > 0 && !commit.shards))", "if (commit.epoch > epoch)"]],
  },
  {
    name: "split: a child asks its parent for ids of before",
    scenario: "split",
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
    scenario: "split",
    file: "durable-objects/event-log/inheritance.ts",
    edits: [["if (parent === null || settled) return;", "if (parent !== 1e9 || settled) return;"]],
  },
  {
    name: "split: a part names the ids that it had before",
    scenario: "split",
    file: "queues/fan-out/route.ts",
    edits: [["const earlier = shards.slice(header.epoch, -1).map(idUnder);", "const earlier: Uint8Array[] = [];"]],
  },
  {
    // Both: a file that says by itself which rules it has passed is found by the correction, however it came in.
    name: "rules: an append that knows an older rule is refused, and its files say which they passed",
    scenario: "rules",
    file: CATALOG,
    edits: [
      [
        'if (rules < this.#rules.newest) return { kind: "rules", version: this.#rules.newest };\n      const newest',
        "const newest",
      ],
      [
        "for (const file of add) this.#files.add(file, snapshot, rules);",
        "for (const file of add) this.#files.add(file, snapshot, this.#rules.newest);",
      ],
    ],
  },
  {
    // Both, as with an append.
    name: "rules: a compaction that knows an older rule is refused, and its file says which it passed",
    scenario: "rules",
    file: CATALOG,
    edits: [
      [
        'if (rules < this.#rules.newest) return { kind: "rules", version: this.#rules.newest };\n      // A compaction',
        "// A compaction",
      ],
      ["file?.rules !== rules", "file === null"],
      [
        "for (const file of commit.add) this.#files.add(file, snapshot, rules, null, rowsSince);",
        "for (const file of commit.add) this.#files.add(file, snapshot, this.#rules.newest, null, rowsSince);",
      ],
    ],
  },
  {
    // Both: where all have passed the rule before stores are rewritten, no older batch is left to come.
    name: "rules: a batch that knows an older rule is refused by the rollups, and corrections wait for the sinks",
    scenario: "rules",
    file: ROLLUPS,
    edits: [
      ["if (rules < before.rules) return", "if (rules < 0) return"],
      ["(cursors[sink][at] ?? 0) < seq);", "(cursors[sink][at] ?? 0) < Math.min(seq, 0));", RULE_JOB],
    ],
  },
  {
    // Both, as with the rollups.
    name: "rules: an append that knows an older rule is refused by a timeline, and corrections wait for the sinks",
    scenario: "rules",
    file: "durable-objects/user-timeline/subject-state.ts",
    edits: [
      ["if (rules >= this.#rules) return;", "if (rules >= 0) return;"],
      ["(cursors[sink][at] ?? 0) < seq);", "(cursors[sink][at] ?? 0) < Math.min(seq, 0));", RULE_JOB],
    ],
  },
  {
    // All: the job raises them, so does each window before it begins, and by then all sinks have passed the rule.
    name: "rules: the stores' fences come before their rewriting",
    scenario: "rules",
    file: "workers/pipeline/replays.ts",
    edits: [
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is code.
      ["await eachShard(shards, (shard) => rollups.getByName(`core:${shardName(shard)}`).raise(version));", ""],
      ["await rollup(shard).raise(version);", "", "queues/rollups/rebuild.ts"],
      ["(cursors[sink][at] ?? 0) < seq);", "(cursors[sink][at] ?? 0) < Math.min(seq, 0));", RULE_JOB],
    ],
  },
  {
    name: "rules: one that a shard has keeps its place",
    scenario: "rules",
    file: SHARD_LOG,
    edits: [["const known = this.places.seqOfRule(rule);\n    if (known !== null) return known;", ""]],
  },
  {
    name: "redrive: what was committed once keeps its seq",
    scenario: "holes",
    file: SHARD_LOG,
    edits: [['if (known !== null) return { kind: "committed", seq: known };', "void known;"]],
  },
  {
    // And the table's own constraint, which is the last to say so.
    name: "redrive: lines that came back before are refused",
    scenario: "holes",
    file: SHARD_LOG,
    edits: [
      ['if (known !== null) return { kind: "committed", seq: known };', "void known;"],
      ['if (before.length > 0) return { kind: "redriven", origins: before };', "void before;"],
      ["id TEXT NOT NULL UNIQUE", "id TEXT NOT NULL", "durable-objects/event-log/redrive-table.ts"],
    ],
  },
  {
    name: "redrive: whoever reads the log later leaves the original lines out",
    scenario: "holes",
    file: "durable-objects/event-log/segment-log.ts",
    edits: [["if (skips.size + releases.size === 0) return refs;", "if (skips.size >= 0) return refs;"]],
  },
  {
    name: "holes: a lease names what was decided",
    scenario: "holes",
    file: CURSORS,
    edits: [["...(holes.length > 0 && { holes })", "...(holes.length > 1e9 && { holes })"]],
  },
  {
    name: "holes: an outage is no refusal",
    scenario: "outage",
    file: "queues/refusal.ts",
    edits: [
      ["if (flags.retryable || flags.overloaded || flags.durableObjectReset) return false;", ""],
      ["const REFUSAL_TEXTS = [", "const REFUSAL_TEXTS = [\n  /^Network connection lost/,"],
    ],
  },
  {
    name: "rebuild of the lake: a step that was staged is not staged again",
    scenario: "rebuilds",
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
    // All: with the fence, or the wait for the sinks, no file comes that has not passed the rule.
    name: "correction of the lake: a file that came meanwhile is looked at",
    scenario: "rules",
    file: "durable-objects/lake-catalog/staged-changes.ts",
    edits: [
      ['if (this.#overlooked(job, operation, rules, looked)) return { kind: "conflict", missing: [] };', ""],
      [
        'if (rules < this.#rules.newest) return { kind: "rules", version: this.#rules.newest };\n      const newest',
        "const newest",
        CATALOG,
      ],
      ["(cursors[sink][at] ?? 0) < seq);", "(cursors[sink][at] ?? 0) < Math.min(seq, 0));", RULE_JOB],
    ],
  },
  {
    name: "correction of the lake: a swap is made once",
    scenario: "lost-swaps",
    seed: 99,
    file: "durable-objects/lake-catalog/staged-changes.ts",
    edits: [['if (known?.state === "swapped" || known?.state === "confirmed") return known.swapped!;', ""]],
  },
  {
    name: "rebuild of the rollups: a step that was added is not added again",
    scenario: "rebuilds",
    file: "durable-objects/minute-rollup/rebuilds.ts",
    edits: [
      ["if (step <= rebuild.step) return { step: rebuild.step };", ""],
      ["if (step > rebuild.step + 1) throw", "if (step > rebuild.step + 1e9) throw"],
    ],
  },
  {
    name: "rebuild of the rollups: live batches go to the build, too",
    scenario: "rebuilds",
    file: "durable-objects/minute-rollup/rebuilds.ts",
    edits: [["this.#fold(rebuild, deltas, keptFrom, batch.to);\n    }\n  }", "}\n  }"]],
  },
  {
    name: "rebuild of the sessions: leases of before a switch are fenced off",
    scenario: "idle-switches",
    seed: 5742,
    file: CURSORS,
    edits: [["cursor = ?, moved_at = ?, token = token + 1, owner = NULL", "cursor = ?, moved_at = ?, owner = NULL"]],
  },
  {
    name: "replays: what an older lease saves is refused",
    scenario: "late-releases",
    file: "durable-objects/replay-desk/desk.ts",
    edits: [
      [
        'if (!found || found.token !== token || found.owner === null) return { kind: "lost" };',
        'if (!found) return { kind: "lost" };',
      ],
    ],
  },
  {
    // Both: the fan-out leaves it out before it writes, the log would refuse what it has written.
    name: "log: an id that stands in one commit twice counts once",
    file: SHARD_LOG,
    edits: [
      ["if (owned[i] === 1 || !seen.add(words, i)) refused.push(i);", "if (owned[i] === 1) refused.push(i);"],
      [
        "if (!seen.add(words, first + line) || owned.ids[first + line] === 1) continue;",
        "if (owned.ids[first + line] === 1) continue;",
        PLAN,
      ],
    ],
  },
  {
    name: "log: what a drain of before a turn has reached is passed over",
    scenario: "idle-turns",
    seed: 83,
    file: "durable-objects/event-log/reached-table.ts",
    edits: [["(token !== undefined && token < turn)", "(token !== undefined && token < 0)"]],
  },
  {
    name: "rebuild of the sessions: the logs are told that the cursors went back",
    scenario: "late-switches",
    file: WHOLE_BUILD,
    edits: [
      [
        'await this.#deps.logs.getByName(shardName(shard)).turned("sessions", cursor, token);',
        "void [shard, cursor, token];",
      ],
    ],
  },
  {
    // Both: what the build has and the live sink has left out since is taken from there when it comes back.
    name: "rebuild of the sessions: a build that lacks new holes is not swapped in, and redrives leave former places",
    scenario: "holes",
    file: WHOLE_BUILD,
    edits: [
      ['if (build.state === "building" && (await this.#leftOut()) !== build.note) {', 'if (build.note === "never") {'],
      [
        "=> leaveFormerPlaces(some, step, invocation, deps);",
        "=> leaveFormerPlaces(some.slice(0, 0), step, invocation, deps);",
        "queues/sessions/sink.ts",
      ],
    ],
  },
  {
    name: "rebuild of the sessions: the shard of a split feeds the build that is live",
    scenario: "rebuilt-splits",
    file: "queues/sessions/sink.ts",
    edits: [["if (generation === (lease.generation ?? 0)) return lease;", "if (generation >= 0) return lease;"]],
  },
  {
    name: "rebuild of the sessions: a build's states come one after the other",
    scenario: "late-switches",
    file: "durable-objects/sink-cursor/build-table.ts",
    edits: [["if (!FROM[state].includes(build.state)) {", "if (!FROM[state]) {"]],
  },
  {
    name: "holes: a straggler decides nothing",
    scenario: "stragglers",
    seed: 4703,
    file: CURSORS,
    edits: [
      [
        "if (!row || row.token !== token || row.cursor !== from || hole.seq !== from + 1) return false;",
        "if (!row) return false;",
      ],
    ],
  },
  {
    name: "holes: what the rollups have is no hole",
    scenario: "holes",
    file: "queues/rollups/sink.ts",
    edits: [
      [
        "return { ...sink, has: async (shard, seq, token) => (await rollup(shard).fence(token)).lastSeq >= seq };",
        "return sink;",
      ],
    ],
  },
  {
    name: "holes: the rollups take nothing of a lease that was fenced off",
    scenario: "holes",
    file: ROLLUPS,
    edits: [["if (token < before.token) return", "if (token < 0) return"]],
  },
  {
    name: "redrive: a timeline's event leaves its former place",
    scenario: "holes",
    file: "queues/sessions/sink.ts",
    edits: [
      [
        "=> leaveFormerPlaces(some, step, invocation, deps);",
        "=> leaveFormerPlaces(some.slice(0, 0), step, invocation, deps);",
      ],
    ],
  },
  {
    name: "redrive: the hole is closed before what brings its lines is passed",
    seed: 2006551,
    file: "queues/drain.ts",
    edits: [["    await this.#closeHoles(segments);\n", ""]],
  },
  {
    name: "rules: what the lake left out twice is read where it stood first",
    seed: 2006628,
    file: "queues/replay/timeline-places.ts",
    edits: [["read.add(seq).add(firstPlace(seq));", "read.add(seq);"]],
  },
  {
    name: "redrive: what a straggler tells a device is passed over",
    scenario: "late-leaves",
    file: "durable-objects/user-timeline/known-users.ts",
    edits: [["if (known.revision > (revision ?? known.revision)) return false;", ""]],
  },
  {
    name: "redrive: a former place is looked for in each form that rules have left it",
    scenario: "moved-holes",
    file: "queues/read-segment.ts",
    edits: [["if (after !== before) forms.push(after);", "void before;"]],
  },
  {
    // All: a compaction takes files away that the swap wants to replace, so the swap would look again; and once more for files
    // that it has not looked at. What it replaces is below the cursor of its beginning: nothing else brings a file of it.
    name: "rebuild of the lake: there is no compaction beside it, what it replaces is there, and no other file has come",
    scenario: "rebuilt-compaction",
    file: CATALOG,
    edits: [
      [
        'if (operation === "compact" && this.#staging.rebuilding().length > 0) return { kind: "conflict", missing: [] };',
        "",
      ],
      ["if (this.#staging.rebuilding().length > 0) return null;", ""],
      ['if (this.#overlooked(job, operation, rules, looked)) return { kind: "conflict", missing: [] };', "", STAGED],
      [
        "if (missing.length > 0) {\n      this.#staging.forgetSteps",
        "if (missing.length > 1e9) {\n      this.#staging.forgetSteps",
        STAGED,
      ],
      [
        "const removed = inputs.map(({ file }) => file!);",
        "const removed = inputs.flatMap(({ file }) => file ?? []);",
        STAGED,
      ],
    ],
  },
  {
    name: "sweep: files that a job has staged are spared",
    scenario: "frozen-swap",
    file: CATALOG,
    edits: [["!this.#files.has(key) && !this.#staging.has(key)", "!this.#files.has(key)"]],
  },
  {
    name: "builds: a switch that hung is refused once it has been undone",
    scenario: "late-switches",
    seed: 906,
    file: "durable-objects/sink-cursor/cursor-table.ts",
    edits: [["if (move < newest) throw", "if (move < 0) throw"]],
  },
  {
    // Both: the desk lets builds end before a rule has a number.
    name: "rebuild of the lake: rows that know an older rule are not swapped in, and rules wait for builds",
    scenario: "rebuilt-rules",
    file: STAGED,
    edits: [
      ['if (operation === "rebuild" && oldest < this.#rules.newest)', 'if (operation === "rebuild" && oldest < 0)'],
      [
        "return inTheWay === null ? { version: this.#jobs.takeRule(id, key) }",
        'return inTheWay !== "" ? { version: this.#jobs.takeRule(id, key) }',
        DESK,
      ],
    ],
  },
  {
    name: "rebuild of the lake: a revert is made once",
    scenario: "lost-swaps",
    file: STAGED,
    edits: [['if (known?.state === "reverted") return known.reverted!;', ""]],
  },
  {
    // Both: a compaction takes no file that a job may still take back.
    name: "rebuild of the lake: what was replaced since is not reverted, and compactions leave it alone",
    scenario: "replaced-builds",
    file: STAGED,
    edits: [
      ['if (gone.length > 0) return { kind: "conflict", missing: gone };', ""],
      [" AND added_by IS NULL", "", "durable-objects/lake-catalog/compaction-plan.ts"],
    ],
  },
  {
    name: "rebuild of the lake: what has not passed a rule does not come back, and rules wait for builds",
    scenario: "rebuilt-rules",
    file: STAGED,
    edits: [
      ['if (restored.some((file) => mayTouch(file))) return { kind: "rules", version: newest };', ""],
      [
        "return inTheWay === null ? { version: this.#jobs.takeRule(id, key) }",
        'return inTheWay !== "" ? { version: this.#jobs.takeRule(id, key) }',
        DESK,
      ],
    ],
  },
  {
    // As with the lake.
    name: "rebuild of the rollups: what has passed older rules is not swapped in, and rules wait for builds",
    scenario: "rebuilt-rules",
    file: REBUILDS,
    edits: [
      ["if (rules < newest || rebuild.rules < newest) {", "if (newest < 0) {"],
      [
        "if (rebuild.rules < position.rules) {\n      throw new RangeError(`",
        "if (rebuild.rules < 0) {\n      throw new RangeError(`",
      ],
      [
        "return inTheWay === null ? { version: this.#jobs.takeRule(id, key) }",
        'return inTheWay !== "" ? { version: this.#jobs.takeRule(id, key) }',
        DESK,
      ],
    ],
  },
  {
    name: "rebuild of the rollups: what has not passed a rule does not come back, and rules wait for builds",
    scenario: "rebuilt-rules",
    file: REBUILDS,
    edits: [
      [
        "if (rebuild.rules < position.rules) {\n      throw new RangeError(\n",
        "if (rebuild.rules < 0) {\n      throw new RangeError(\n",
      ],
      [
        "return inTheWay === null ? { version: this.#jobs.takeRule(id, key) }",
        'return inTheWay !== "" ? { version: this.#jobs.takeRule(id, key) }',
        DESK,
      ],
    ],
  },
  {
    name: "rebuild of the rollups: a job that has ended begins nothing",
    scenario: "late-jobs",
    file: REBUILDS,
    edits: [["if (known && isEnded(known)) throw", "if (known && known.up_to < 0) throw"]],
  },
  {
    name: "rebuild of the rollups: a swap is made once",
    scenario: "lost-swaps",
    seed: 306,
    file: REBUILDS,
    edits: [
      [
        'if (rebuild.state === "swapped") return null;\n    if (rebuild.state !== "building") throw',
        "if (isEnded(rebuild)) throw",
      ],
    ],
  },
  {
    // Both: once all sinks have passed a rule's place, no append below it is left to come.
    name: "timeline: an event that an amendment has brought is not appended again, and corrections wait for the sinks",
    scenario: "rules",
    file: TIMELINE,
    edits: [
      ["if (!state.mayBeAhead(shard, seq) || !this.#has(entry.position)) {", "if (seq > 0) {"],
      ["(cursors[sink][at] ?? 0) < seq);", "(cursors[sink][at] ?? 0) < Math.min(seq, 0));", RULE_JOB],
    ],
  },
  {
    name: "split: a child begins with its parent's rules",
    scenario: "ruled-splits",
    file: "durable-objects/event-log/inheritance.ts",
    edits: [["log.places.inheritRules(rules, log.shard);", "void rules;"]],
  },
  {
    name: "split: a shard that joins while a rule is raised gets it",
    scenario: "ruled-splits",
    file: "durable-objects/event-log/event-log.ts",
    edits: [
      [
        "await Promise.all(lineage.children.map((child) => this.#logOf(child).raise(rule, key, lineage.shards!)));",
        "void lineage;",
      ],
      ["await logHeads(this.#run.parts);", "", RULE_JOB],
    ],
  },
  {
    name: "replays: a rule's number is given once",
    scenario: "rules",
    file: DESK,
    edits: [["if (had !== null) return { version: had };", ""]],
  },
  {
    name: "replays: a rule is raised everywhere before the next one has a number",
    scenario: "rules",
    file: DESK,
    edits: [
      ["if (raising !== null) return", "if (raising !== null && raising.version < 0) return"],
      ["if (turn !== null && turn.id !== id) return", 'if (turn !== null && turn.id === "") return'],
    ],
  },
  {
    name: "replays: what an older lease releases is refused",
    scenario: "late-releases",
    seed: 468,
    file: DESK,
    edits: [["if (!found || found.token !== token || found.owner === null) return;", "if (!found) return;"]],
  },
  {
    name: "replays: a job that was cancelled takes no rule",
    scenario: "late-rules",
    file: DESK,
    edits: [['if (job.state !== "running") return "lost";', ""]],
  },
  {
    name: "audit: what was republished is looked for once more",
    scenario: "twins",
    file: "queues/replay/audit-job.ts",
    edits: [["return reads.flat();", "return reads.flat().slice(0, 0);"]],
  },
  {
    name: "rebuild: the shards are those that there were when it began",
    scenario: "rebuilt-splits",
    file: "queues/replay/rebuild-job.ts",
    edits: [["const shards = this.#progress.shards ?? this.#parts.shards;", "const shards = undefined;"]],
  },
  {
    name: "erasures: a log takes no commit of who does not know its newest rule",
    erasures: true,
    file: SHARD_LOG,
    edits: [['    if ((commit.barred ?? 0) < barredVersion) return { kind: "barred", version: barredVersion };\n', ""]],
  },
  {
    name: "erasures: quarantined lines are looked at, whatever their message says",
    erasures: true,
    file: "queues/fan-out/barred.ts",
    edits: [
      [
        "const suspects = mayName ? lines.keys() : (quarantined ?? []);",
        "const suspects = mayName ? lines.keys() : [];",
      ],
    ],
  },
  {
    name: "erasures: who is told of a newer rule plans anew",
    erasures: true,
    file: FAN_OUT,
    edits: [
      [
        "      await barred.learn(log, answer.version);\n      plan = plannedAnew();",
        "      await barred.learn(log, answer.version);\n      version = barred.version;",
      ],
    ],
  },
  {
    name: "tiles: a build gets live batches with the live rows",
    tiles: true,
    file: TILE_STORE,
    edits: [["    this.builds.follow(batch.deltas, now);\n", ""]],
  },
  {
    name: "tiles: a batch of which some is here is refused",
    tiles: true,
    file: TILE_STORE,
    edits: [
      ["if (before.started && batch.from <= lastSeq) return", "if (before.started && batch.to <= lastSeq) return"],
    ],
  },
  {
    name: "tiles: a batch by another list of definitions is refused",
    tiles: true,
    seed: 62,
    file: TILE_STORE,
    edits: [["if (batch.version !== before.version) {", "if (batch.version > before.version) {"]],
  },
  {
    name: "tiles: the cursor waits for the tiles' part of a step",
    tiles: true,
    file: "queues/rollups/sink.ts",
    edits: [
      [
        "if (list && tiles) await applyTiles(tiles, list, step);",
        "if (list && tiles) await applyTiles(tiles, list, step).catch(() => {});",
      ],
    ],
  },
  {
    name: "tiles: hours that a correction has touched are filled anew",
    tiles: true,
    file: "queues/replay/rule-windows.ts",
    edits: [["      await this.#run.parts.refillTiles?.(this.#run.slice.job.id, hours);\n", ""]],
  },
  {
    name: "tiles: a step that was added is not added again",
    tiles: true,
    file: "durable-objects/tile-rollup/tile-builds.ts",
    edits: [["if (step <= build.step) return", "if (step < build.step) return"]],
  },
  {
    name: "tiles: what is in memory is forgotten after a rollback",
    tiles: true,
    scenario: "disk",
    file: "durable-objects/tile-rollup/tile-rollup.ts",
    edits: [["this.#store.forget();\n      throw error;", "throw error;"]],
  },
];
