/**
 * Events that broke their contract: by cause, beside the contract that they broke, and back into the log. They stay in the table
 * `quarantine`, which is the record of what happened; what has come back is in `events`, too.
 */
import type { Context, Hono } from "hono";
import { CONTRACT_HEALTH_NAME, type ContractHealthApi } from "../../../durable-objects/contract-health/api.ts";
import { CONTRACT_REGISTRY_NAME, type ContractRegistryApi } from "../../../durable-objects/contract-registry/api.ts";
import type { EventLogPlacesApi } from "../../../durable-objects/event-log/api.ts";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import { readHours } from "../../../queues/contract-health/hour-sql.ts";
import { BarredSubjects } from "../../../queues/fan-out/barred.ts";
import { parseContract } from "../../../r2-layout/contracts/contract.ts";
import { coveredFields } from "../../../r2-layout/contracts/expected.ts";
import { CONTRACT, HOUR_MS, VIOLATIONS } from "../../../r2-layout/limits.ts";
import { sqlText, sqlTime } from "../../../r2-layout/sql-text.ts";
import type { SubjectHasher } from "../../../r2-layout/subjects.ts";
import { cutUtf8 } from "../../../r2-layout/utf8.ts";
import { problem } from "../../problem.ts";
import type { TrialJson } from "../../trial-json.ts";
import { askSql } from "../ask-sql.ts";
import { contractJson } from "../contracts/contract-routes.ts";
import { healthOf } from "../contracts/health.ts";
import { breakJson, linesOf } from "../contracts/health-json.ts";
import { type TrialPlace, tryVersion } from "../contracts/trial.ts";
import type { Fetches } from "../env.ts";
import { type JsonMembers, readJsonBody } from "../json-body.ts";
import { badParameter, countParameter, Refused } from "../parameters.ts";
import { CAUSE_MEMBERS, type Cause, causeSql, parseCause } from "./cause.ts";
import { parseMapping } from "./mapping.ts";
import { Mender } from "./mended-line.ts";
import { type ReleaseLog, release } from "./release.ts";

export interface ViolationRoutes {
  readonly bucket: R2Bucket;
  readonly logs: ObjectNamespace<ReleaseLog & EventLogPlacesApi>;
  /** Of people, in rules. */
  readonly hash: SubjectHasher;
  readonly registry: ObjectNamespace<ContractRegistryApi>;
  readonly health: ObjectNamespace<Pick<ContractHealthApi, "event">>;
  readonly query: Fetches;
  readonly shards: number;
  /** Microseconds. */
  readonly now: () => number;
  /** @returns the hash of the token. @throws Refused */
  readonly reader: (request: Request) => string;
  readonly admin: (request: Request) => string;
}

const CAUSE_COLUMNS = ["event_name", "field", "expected", "source", "app_version", "contract_version"] as const;

export function addViolations(app: Hono, routes: ViolationRoutes): void {
  const { bucket, logs, shards, reader, admin } = routes;
  const nowMs = () => Math.floor(routes.now() / 1_000);
  const barred = new BarredSubjects(routes.hash);
  const registry = () => routes.registry.getByName(CONTRACT_REGISTRY_NAME);
  const asking = (c: Context, token: string) => async (sql: string) =>
    (await askSql(routes.query, c.req.url, token, sql)).rows;
  const queried = (c: Context) => Object.fromEntries(new URL(c.req.url).searchParams);

  app.get("/v1/violations", async (c) => {
    const sql = asking(c, admin(c.req.raw));
    const cause = parseCause(queried(c), nowMs());
    const rows = await sql(`select ${CAUSE_COLUMNS.join(", ")}, count(*) as events,
      epoch_ms(min(received_at)), epoch_ms(max(received_at)),
      arg_min(log_shard, received_at), arg_min(log_seq, received_at),
      arg_max(log_shard, received_at), arg_max(log_seq, received_at)
      from quarantine where ${causeSql(cause)} group by all order by events desc limit ${VIOLATIONS.causesListed}`);
    return c.json({ ...rangeJson(cause), causes: rows.map(causeJson) });
  });

  app.get("/v1/violations/samples", async (c) => {
    const sql = asking(c, admin(c.req.raw));
    const cause = parseCause(queried(c), nowMs());
    if (cause.event === null) throw badParameter("event", "the name of an event");
    const where = causeSql(cause);
    const id = "concat_ws(chr(10), source, event_id)";
    const received = `received_at >= ${sqlTime(cause.from)} and received_at < ${sqlTime(cause.to)}`;
    const [[counted], rows, versions] = await Promise.all([
      sql(`select count(*), count(*) filter (where ${id} in
        (select ${id} from events where event_name = ${sqlText(cause.event)} and ${received})) from quarantine where ${where}`),
      sql(`select event_id, source, app_version, epoch_ms(received_at), field, expected, actual, contract_version, log_shard, log_seq, raw
        from quarantine where ${where} order by received_at desc limit ${VIOLATIONS.samples}`),
      registry().versions(cause.event),
    ]);
    const [events = 0, inEvents = 0] = (counted ?? []).map(Number);
    const broken = cause.contract_version ?? Number(rows[0]?.[7] ?? 0);
    const contract = versions.find(({ version }) => version === broken) ?? versions.at(-1);
    return c.json({
      ...rangeJson(cause),
      events,
      // Came back, or were sent again.
      in_events: inEvents,
      samples: rows.map(sampleJson),
      contract: contract ? contractJson(contract) : null,
      versions: versions.map(({ version }) => version),
    });
  });

  app.post("/v1/violations/redrive", async (c) => {
    const sql = asking(c, admin(c.req.raw));
    const body = await readJsonBody(c.req.raw, VIOLATIONS.bodyBytes, [
      ...CAUSE_MEMBERS,
      "version",
      "mapping",
      "try",
      "cursor",
    ]);
    const cause = parseCause(body, nowMs());
    if (cause.event === null) throw badParameter("event", "the name of an event");
    if (body.try !== undefined && typeof body.try !== "boolean") throw badParameter("try", "true or false");
    const steps = parseMapping(body.mapping);
    const after = placeIn(body.cursor);
    const versions = await registry().versions(cause.event);
    const wanted = body.version ?? versions.at(-1)?.version;
    const contract = versions.find(({ version }) => version === wanted);
    if (!contract) return problem({ reason: "not_found" });
    const behind = after
      ? ` and (log_shard > ${after.shard} or (log_shard = ${after.shard} and log_seq > ${after.seq}))`
      : "";
    const most = VIOLATIONS.segmentsPerCall;
    const rows = await sql(`select log_shard, log_seq from quarantine where ${causeSql(cause)}${behind}
      group by 1, 2 order by 1, 2 limit ${most + 1}`);
    const all = rows.slice(0, most).map(([shard, seq]) => ({ shard: Number(shard), seq: Number(seq) }));
    const places = all.filter(({ shard }) => shard === all[0]!.shard);
    const mender = new Mender(cause.event, contract.version, contract.document, { steps, treatedBy: versions });
    const [treated] = mender.treatedFields;
    if (treated !== undefined) {
      throw badParameter(
        "mapping",
        `${cutUtf8(treated, 100)} is treated before the log (x-pii): a mapping may only drop it`,
      );
    }
    const deps = { bucket, logs, barred, now: nowMs };
    const done = await release(deps, places, cause, mender, body.try ? "try" : undefined);
    const { last, still_refused, ...counts } = done;
    const isDone =
      last === null || (last.seq === all.at(-1)!.seq && last.shard === all.at(-1)!.shard && rows.length <= most);
    return c.json({
      event: cause.event,
      version: contract.version,
      only_tried: body.try === true,
      ...counts,
      still_refused: { events: still_refused.events, groups: still_refused.groups },
      next: isDone ? null : placeText(last!),
    });
  });

  app.post("/v1/contracts/:event/trials", async (c) => {
    admin(c.req.raw);
    const body = await readJsonBody(c.req.raw, 2 * CONTRACT.documentBytes, TRIAL_MEMBERS);
    const eventName = c.req.param("event");
    const contract = await triedContract(eventName, body);
    if (!contract) return problem({ reason: "not_found" });
    const { hours = VIOLATIONS.trialHours, source = null } = body;
    if (!Number.isSafeInteger(hours) || (hours as number) < 1 || (hours as number) > VIOLATIONS.trialHoursMax)
      throw badParameter("hours", `a whole number from 1 to ${VIOLATIONS.trialHoursMax}`);
    if (source !== null && (typeof source !== "string" || source.length > VIOLATIONS.textChars))
      throw badParameter("source", "the name of a source");
    const after = placeIn(body.cursor);
    // The range stays as it was when the trial began.
    const to = after?.at ?? nowMs();
    const range = { eventName, source, from: to - (hours as number) * HOUR_MS, to };
    const treatedBy = await registry().versions(eventName);
    const mender = new Mender(eventName, contract.version, contract.document, { treatedBy });
    const trial = await tryVersion({ bucket, logs, shards, now: nowMs }, range, mender, after);
    const sources = [...trial.events].map(([name, events]) => ({ source: name, events }));
    const told: TrialJson = {
      event_name: eventName,
      version: contract.version,
      from: new Date(range.from).toISOString(),
      to: new Date(to).toISOString(),
      events: sources.reduce((sum, { events }) => sum + events, 0),
      sources,
      would_fail: trial.failures.events,
      failures: trial.failures.groups,
      samples: trial.samples,
      segments: trial.segments,
      unreadable: trial.unreadable,
      next: trial.next && placeText({ ...trial.next, at: to }),
    };
    return c.json(told);
  });

  app.get("/v1/contracts/:event/health", async (c) => {
    const sql = asking(c, reader(c.req.raw));
    const eventName = c.req.param("event");
    const stored = (await registry().versions(eventName)).at(-1);
    const contract = stored && parseContract(JSON.parse(stored.document));
    if (!contract?.ok) return problem({ reason: "not_found" });
    const { healthHours: fallback, healthHoursMax: max } = VIOLATIONS;
    const hours = countParameter(new URL(c.req.url).searchParams, "hours", { fallback, max });
    const now = nowMs();
    const end = (Math.floor(now / 60_000) + 1) * 60_000;
    const range = { from: Math.floor(now / HOUR_MS) * HOUR_MS - (hours - 1) * HOUR_MS, to: end };
    const fields = coveredFields(contract.value);
    const [found, judged] = await Promise.all([
      readHours(sql, eventName, fields, range),
      routes.health.getByName(CONTRACT_HEALTH_NAME).event(eventName),
    ]);
    return c.json({
      event_name: eventName,
      version: contract.value.version,
      fields,
      hours: healthOf(contract.value, fields, found, now),
      // As the hourly look has found it.
      evaluated: judged.hours.flatMap(linesOf),
      breaks: judged.breaks.map(breakJson),
    });
  });

  /** @throws Refused where the document is no contract of this event. */
  async function triedContract(eventName: string, { document, version }: JsonMembers) {
    if (document === undefined) {
      const versions = await registry().versions(eventName);
      return versions.find((one) => one.version === (version ?? versions.at(-1)?.version)) ?? null;
    }
    if (version !== undefined) throw badParameter("version", "absent where there is a document");
    const parsed = parseContract(document);
    if (!parsed.ok) throw new Refused({ reason: "not_a_contract", ...parsed.error });
    if (parsed.value.eventName !== eventName)
      throw badParameter("document", `a contract of ${eventName}; this is one of ${parsed.value.eventName}`);
    return { version: parsed.value.version, document: JSON.stringify(document) };
  }
}

const TRIAL_MEMBERS = ["document", "version", "source", "hours", "cursor"];

const rangeJson = ({ from, to }: Cause) => ({ from: new Date(from).toISOString(), to: new Date(to).toISOString() });

function causeJson(row: readonly unknown[]) {
  const [event, field, expected, source, app_version, contract_version, events, first, last, ...places] = row;
  const [firstShard, firstSeq, lastShard, lastSeq] = places.map(Number);
  return {
    event,
    field,
    expected,
    source,
    app_version,
    contract_version,
    events: Number(events),
    first: { at: new Date(Number(first)).toISOString(), shard: firstShard, seq: firstSeq },
    last: { at: new Date(Number(last)).toISOString(), shard: lastShard, seq: lastSeq },
  };
}

function sampleJson(row: readonly unknown[]) {
  const [event_id, source, app_version, received, field, expected, actual, contract_version, shard, seq, raw] = row;
  const received_at = new Date(Number(received)).toISOString();
  const text = cutUtf8(String(raw), VIOLATIONS.sampleBytes);
  return {
    event_id,
    source,
    app_version,
    received_at,
    field,
    expected,
    actual,
    contract_version,
    shard: Number(shard),
    seq: Number(seq),
    raw: text,
  };
}

const placeText = ({ shard, seq, at }: TrialPlace & { readonly at?: number }): string =>
  [shard, seq, ...(at === undefined ? [] : [at])].join("-");

/** @throws Refused */
function placeIn(given: unknown): (TrialPlace & { readonly at?: number }) | null {
  if (given === undefined || given === null) return null;
  const match = typeof given === "string" ? /^(\d{1,6})-(\d{1,15})(?:-(\d{1,15}))?$/.exec(given) : null;
  if (!match) throw badParameter("cursor", "as the call before gave it");
  return { shard: Number(match[1]), seq: Number(match[2]), ...(match[3] !== undefined && { at: Number(match[3]) }) };
}
