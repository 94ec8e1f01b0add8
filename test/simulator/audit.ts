/**
 * What must hold once a world has settled. The log is compared with what was sent and acknowledged; each store with the
 * log and its rules, read the plain way (log-model.ts), row by row; the ledger with the messages that the queues took.
 */
import type { EventLogApi } from "../../durable-objects/event-log/api.ts";
import type { LakeCatalogApi } from "../../durable-objects/lake-catalog/api.ts";
import { LAKE_CATALOG_NAME } from "../../durable-objects/lake-catalog/api.ts";
import type { LakePlaceApi } from "../../durable-objects/lake-catalog/place-api.ts";
import type { MinuteRollupApi } from "../../durable-objects/minute-rollup/api.ts";
import type { RollupTallyApi } from "../../durable-objects/minute-rollup/tally-api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { REPLAY_DESK_NAME, type ReplayDeskApi } from "../../durable-objects/replay-desk/api.ts";
import type { BuildsApi, HolesApi, SinkCursorApi } from "../../durable-objects/sink-cursor/api.ts";
import { SINKS } from "../../durable-objects/sink-cursor/api.ts";
import type { UserTimelineApi } from "../../durable-objects/user-timeline/api.ts";
import { holeKeeper } from "../../queues/quarantine/list.ts";
import type { Uncorrected } from "../../queues/replay/uncorrected.ts";
import { REPLAY } from "../../r2-layout/limits.ts";
import { erasedKind } from "../../r2-layout/log-line.ts";
import type { SinkName } from "../../r2-layout/sinks.ts";
import { auditCounts } from "./audit-counts.ts";
import { auditLedger } from "./audit-ledger.ts";
import { auditLake, auditRollups, auditTimelines } from "./audit-stores.ts";
import type { AddedColumns } from "./columns.ts";
import { auditBarred, isBarred } from "./erasures.ts";
import { type LoggedLine, type LogModel, readLogModel, rowsOf } from "./log-model.ts";
import { auditTiles, type TileAuditEnv } from "./tiles.ts";
import type { Traffic } from "./traffic.ts";
import type { World } from "./world.ts";

export interface AuditEnv extends TileAuditEnv {
  readonly EVENT_LOG: ObjectNamespace<EventLogApi>;
  readonly SINK_CURSOR: ObjectNamespace<SinkCursorApi & HolesApi & BuildsApi>;
  readonly LAKE_CATALOG: ObjectNamespace<LakeCatalogApi & HolesApi & LakePlaceApi>;
  readonly USER_TIMELINE: ObjectNamespace<UserTimelineApi>;
  readonly MINUTE_ROLLUP: ObjectNamespace<MinuteRollupApi & RollupTallyApi>;
  readonly REPLAY_DESK: ObjectNamespace<ReplayDeskApi>;
}

export type Fail = (text: string) => void;

/** Lines that a sink has left out. */
export interface LeftOut {
  /** `shard/seq/line`; what came back stands elsewhere. */
  readonly lines: ReadonlySet<string>;
  /** Those that have not come back. */
  readonly open: ReadonlySet<string>;
  /** By shard. */
  readonly events: ReadonlyMap<number, number>;
}

/** @returns what is wrong. */
export async function audit(world: World, traffic: Traffic, columns: AddedColumns): Promise<string[]> {
  const failures: string[] = [];
  const fail: Fail = (text) => {
    if (failures.length < 20) failures.push(text);
  };
  await world.ask(async (bindings) => {
    const env = bindings as unknown as AuditEnv;
    const bytesOf = (key: string) => world.originals.get(key) ?? world.bucket.objects.get(key)?.bytes ?? null;
    const model = await readLogModel(world, env.EVENT_LOG, bytesOf, fail);
    const leftOut = {} as Record<SinkName, LeftOut>;
    for (const sink of SINKS) leftOut[sink] = await holesOf(world, env, model, sink, fail);
    auditLog(model, traffic, leftOut, fail);
    auditBarred(world, model, fail);
    const rows = (sink: SinkName) => rowsOf(model, sink, leftOut[sink].lines);
    await auditLake(world, env, rows("lake"), columns, fail);
    await auditCounts(world, env, rows("lake").events, fail);
    // What a rule could not reach, because a segment was bad just then, a store keeps as it was; the job says so.
    const uncorrected = await uncorrectedIn(env);
    for (const sink of uncorrected) world.weather.count("uncorrected", sink);
    // Some timelines may have taken what the sink then left out: which ones can only be told when it comes back.
    const sure = !uncorrected.has("sessions") && leftOut.sessions.open.size === 0;
    if (sure) await auditTimelines(world, env, rows("sessions").events, model, fail);
    if (!uncorrected.has("rollups")) {
      await auditRollups(world, env, rows("rollups").events, model, fail);
      await auditTiles(world, env, rows("rollups").events, fail);
    }
    await auditLedger(world, env, traffic, model, leftOut, fail);
    auditBuilds(world, fail);
  });
  return failures;
}

/** All jobs have ended: what one has begun in the rollups, late or not, would be in the way of the next. */
function auditBuilds({ objects }: World, fail: Fail): void {
  for (const name of objects.names("MinuteRollup")) {
    const { sql } = objects.host("MinuteRollup", name).storage;
    const left = sql.exec("SELECT job, state FROM rebuilds WHERE state IN ('building', 'swapped')").toArray();
    for (const { job, state } of left) fail(`rollups ${name}: the rows of ${job} are left behind, ${state}`);
  }
}

/** A settlement and an audit keep their rules' progress within their own. */
function uncorrectedOf(progress: unknown): Uncorrected[] {
  if (typeof progress !== "object" || progress === null) return [];
  return Object.entries(progress).flatMap(([name, member]) =>
    name === "uncorrected" && member ? [member as Uncorrected] : uncorrectedOf(member),
  );
}

/** Stores of which some job with a rule says that a part stays as it was. */
async function uncorrectedIn(env: AuditEnv): Promise<Set<SinkName>> {
  const { jobs } = await env.REPLAY_DESK.getByName(REPLAY_DESK_NAME).overview(undefined, REPLAY.jobsListedMax);
  const sinks = jobs
    .flatMap(({ progress }) => uncorrectedOf(progress))
    .flatMap(({ places }) => places.map(({ sink }) => sink));
  return new Set(sinks);
}

/** What was acknowledged is in the log, what is in the log was sent, and one copy of each event is in force. */
function auditLog(model: LogModel, traffic: Traffic, leftOut: Readonly<Record<SinkName, LeftOut>>, fail: Fail): void {
  /** By shard, id and label: a dedup window has each once. */
  const owners = new Map<string, string>();
  const logged = new Set<string>();
  for (const { shard, seq, text, redrive } of model.lines) {
    if (erasedKind(text)) continue;
    const { row, q } = JSON.parse(text);
    const key = `${q ? "q" : "e"}\n${row.source}\n${row.event_id}`;
    if (redrive) continue;
    logged.add(key);
    const label = traffic.sent.get(key)?.lines.get(text);
    if (label === undefined && text.includes('"erased:')) continue;
    if (label === undefined) fail(`log ${shard}/${seq}: a line that nobody sent: ${text}`);
    const owner = `${shard}\n${key}\n${label}`;
    const before = owners.get(owner);
    if (before) fail(`log ${shard}/${seq}: ${row.event_id} is there already, in ${before}`);
    owners.set(owner, `${shard}/${seq}`);
  }
  const originals = { ...model, lines: model.lines.filter(({ redrive }) => redrive === null) };
  const inForce = copiesOf(originals);
  const barred = isBarred(model);
  // Rules of settlements and audits alone: what a correction retracts is gone on purpose.
  const settled = copiesOf({ ...originals, rules: model.rules.filter(({ filter }) => filter.places !== undefined) });
  for (const { key, acknowledged, lines } of traffic.sent.values()) {
    const keptOut = !logged.has(key) && [...lines.keys()].some((line) => barred(line));
    if (acknowledged && !logged.has(key) && !keptOut)
      fail(`acknowledged and not in the log: ${key.split("\n").at(-1)}`);
    const copies = inForce.get(key) ?? 0;
    if (copies <= 1 && (settled.has(key) || !logged.has(key))) continue;
    // The copy that was to stay is somebody's who was erased.
    if (copies === 0 && [...lines.keys()].some((line) => barred(line))) continue;
    const all = model.lines.filter(({ text }) => lines.has(text));
    // What is in a hole is looked for once it has come back.
    const isOut = ({ shard, seq, line }: LoggedLine) =>
      SINKS.some((sink) => leftOut[sink].open.has(`${shard}/${seq}/${line}`));
    if (all.some(isOut)) continue;
    const places = all.map(({ shard, seq, text }) => `${shard}/${seq} ${lines.get(text) || "unlabelled"}`);
    fail(`${copies} copies in force of ${key.split("\n").at(-1)}: ${places.join(", ")}`);
  }
}

/** By key: events and quarantined ones that the rules leave. */
function copiesOf(model: LogModel): Map<string, number> {
  const copies = new Map<string, number>();
  const { events, quarantine } = rowsOf(model, "lake", new Set());
  for (const { source, event_id } of events) count(copies, `e\n${source}\n${event_id}`);
  for (const { source, event_id } of quarantine) count(copies, `q\n${source}\n${event_id}`);
  return copies;
}

const count = (counts: Map<string, number>, key: string) => counts.set(key, (counts.get(key) ?? 0) + 1);

/** Only what was damaged may be a hole; an outage never is. What comes back stands in its redrive, and not where it was. */
async function holesOf(world: World, env: AuditEnv, model: LogModel, sink: SinkName, fail: Fail): Promise<LeftOut> {
  const lines = new Set<string>();
  const open = new Set<string>();
  const events = new Map<number, number>();
  const deps = { cursors: env.SINK_CURSOR, catalog: env.LAKE_CATALOG.getByName(LAKE_CATALOG_NAME) };
  for (let shard = 0; shard < world.shards; shard++) {
    const own = model.lines.filter((line) => line.shard === shard);
    let missing = 0;
    for (const hole of await holeKeeper<HolesApi>(deps, sink, shard).holes(shard)) {
      if (!world.damaged.has(hole.key))
        fail(`${sink} has a hole at ${shard}/${hole.seq}: ${hole.cause} ${hole.detail}`);
      for (const { line, quarantined } of own.filter(({ seq }) => seq === hole.seq)) {
        if (hole.lines !== "all" && !hole.lines.includes(line)) continue;
        lines.add(`${shard}/${hole.seq}/${line}`);
        if (hole.redrivenAs === null) open.add(`${shard}/${hole.seq}/${line}`);
        if (!quarantined) missing++;
      }
    }
    for (const { redrive, quarantined } of own) if (redrive?.sinks.includes(sink) && !quarantined) missing--;
    events.set(shard, missing);
  }
  return { lines, open, events };
}
