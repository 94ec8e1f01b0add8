/** The body of POST /v1/replays and /v1/audits, checked member by member. Pure. */
import type { AuditSpec, FillSpec, RebuildSpec, ReplaySpec } from "../../durable-objects/replay-desk/api.ts";
import { SINKS, type SinkName } from "../../durable-objects/sink-cursor/api.ts";
import { DAY_MS, REPLAY } from "../../r2-layout/limits.ts";
import { dayOf, MICROS_PER_MS, parseTime } from "../../r2-layout/time.ts";
import type { JsonMembers } from "./json-body.ts";
import { badParameter } from "./parameters.ts";

export const REPLAY_MEMBERS = ["from", "to", "shard", "from_seq", "to_seq", "sinks", "mode", "rate", "swap"] as const;

/** @throws Refused */
export function replaySpec(body: JsonMembers, shards: number): ReplaySpec {
  const { mode = "fill", swap = "automatic" } = body;
  if (mode !== "fill" && mode !== "rebuild") throw badParameter("mode", "fill or rebuild");
  if (swap !== "automatic" && swap !== "manual") throw badParameter("swap", "automatic or manual");
  if (mode === "fill" && body.swap !== undefined) throw badParameter("swap", "a fill swaps nothing");
  const sinks = sinkList(body.sinks);
  const [from, to] = [timeMs(body.from, "from"), timeMs(body.to, "to")];
  if (from !== null && to !== null && from >= to) throw badParameter("to", "must be later than from");
  const range = seqRange(body, shards);
  if (range && (from !== null || to !== null))
    throw badParameter("shard", "either times, or a shard with seqs, not both");
  if (range && mode === "rebuild" && sinks.includes("rollups")) {
    throw badParameter("sinks", "rollups are rebuilt by time: an hour's events may stand anywhere in the log");
  }
  const common = { sinks, from, to, range, rate: rate(body.rate) };
  return mode === "fill"
    ? ({ kind: "fill", ...common } satisfies FillSpec)
    : ({ kind: "rebuild", ...common, swap } satisfies RebuildSpec);
}

/** Days to audit, today and yesterday where none is named. @param nowMs milliseconds @throws Refused */
export function auditSpec(body: JsonMembers, nowMs: number): AuditSpec {
  const day = (ms: number) => dayOf(ms * MICROS_PER_MS);
  const { days = [day(nowMs - DAY_MS), day(nowMs)] } = body;
  const isDay = (one: unknown): one is string =>
    typeof one === "string" && /^\d{4}-\d\d-\d\d$/.test(one) && Number.isFinite(Date.parse(one));
  if (!Array.isArray(days) || days.length === 0 || days.length > REPLAY.auditDays || !days.every(isDay)) {
    throw badParameter("days", `a list of 1 to ${REPLAY.auditDays} days, each like 2026-11-22`);
  }
  return { kind: "audit", days: [...new Set(days)].sort(), rate: rate(body.rate) };
}

/** Events a second. @throws Refused */
export function rate(given: unknown): number {
  if (given === undefined || given === null) return REPLAY.rate;
  if (typeof given === "number" && Number.isInteger(given) && given >= 1 && given <= REPLAY.rateMax) return given;
  throw badParameter("rate", `a whole number of events a second, from 1 to ${REPLAY.rateMax}`);
}

function sinkList(given: unknown): SinkName[] {
  if (!Array.isArray(given) || given.length === 0) throw badParameter("sinks", `a list of ${SINKS.join(", ")}`);
  const unknown = given.find((sink) => !SINKS.includes(sink as SinkName));
  if (unknown !== undefined)
    throw badParameter("sinks", `there is no sink ${JSON.stringify(unknown)}; there are ${SINKS.join(", ")}`);
  // In one order, however they were named: the same request is the same job.
  return SINKS.filter((sink) => given.includes(sink));
}

function timeMs(given: unknown, name: string): number | null {
  if (given === undefined || given === null) return null;
  const us = parseTime(given);
  if (us === null) throw badParameter(name, "a time, in ISO 8601 or since the epoch");
  return Math.floor(us / MICROS_PER_MS);
}

function seqRange({ shard, from_seq, to_seq }: JsonMembers, shards: number): ReplaySpec["range"] {
  if (shard === undefined && from_seq === undefined && to_seq === undefined) return null;
  if (!isCount(shard) || shard >= shards) throw badParameter("shard", `a whole number from 0 to ${shards - 1}`);
  if (!isCount(from_seq) || from_seq < 1) throw badParameter("from_seq", "the first segment, a whole number from 1");
  if (!isCount(to_seq) || to_seq < from_seq) throw badParameter("to_seq", "the last segment, at least from_seq");
  return { shard, from: from_seq, to: to_seq };
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
