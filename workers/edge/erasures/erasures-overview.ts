/** All requests at a glance, and the daily look for people who were erased before: as JSON, and for Prometheus. */
import type { ReplayDeskApi } from "../../../durable-objects/replay-desk/api.ts";
import { hasEnded } from "../../../durable-objects/replay-desk/job-rules.ts";
import { ERASURE_CHECK, type ErasureCheck } from "../../../queues/erasure/check.ts";
import { ERASURE } from "../../../r2-layout/limits.ts";
import type { ErasureCheckJson, ErasuresJson } from "../../erasure-json.ts";
import { erasureJson } from "./erasure-json.ts";

export async function readErasures(
  desk: Pick<ReplayDeskApi, "overview" | "mark">,
  nowMs: number,
): Promise<ErasuresJson> {
  const [{ jobs }, check] = await Promise.all([desk.overview(["erasure"], ERASURE.checkedAmong), readCheck(desk)]);
  const open = jobs.filter(({ state }) => !hasEnded(state) && state !== "preview");
  return {
    open: open.length,
    overdue: open.filter((job) => erasureJson(job, nowMs).overdue).length,
    check,
  };
}

/** Null before the first. */
export async function readCheck(desk: Pick<ReplayDeskApi, "mark">): Promise<ErasureCheckJson | null> {
  const text = await desk.mark(ERASURE_CHECK);
  return text === null ? null : checkJson(JSON.parse(text));
}

export const checkJson = ({ startedAt, endedAt, jobs, stores, found }: ErasureCheck): ErasureCheckJson => ({
  started_at: iso(startedAt),
  ended_at: endedAt === null ? null : iso(endedAt),
  erasures: jobs.length,
  stores: Object.entries(stores).map(([store, { at, ...rest }]) => ({ store, ...rest, at: iso(at) })),
  found: found.map(({ job, at, ...rest }) => ({ erasure: job, ...rest, at: iso(at) })),
});

const iso = (ms: number): string => new Date(ms).toISOString();

/** @param nowMs milliseconds */
export function erasureMetricLines({ open, overdue, check }: ErasuresJson, nowMs: number): string[] {
  const lines: string[] = [];
  const gauge = (name: string, help: string, samples: readonly (readonly [labels: string, value: number])[]) => {
    lines.push(`# HELP eventpile_${name} ${help}`, `# TYPE eventpile_${name} gauge`);
    for (const [labels, value] of samples) lines.push(`eventpile_${name}${labels} ${value}`);
  };
  gauge("erasures_open", "Requests to be forgotten that are confirmed and not done.", [["", open]]);
  gauge("erasures_overdue", "Those of them that are open for longer than a day.", [["", overdue]]);
  const traces = Map.groupBy(check?.found ?? [], ({ store }) => `{store="${store}"}`);
  gauge(
    "erased_traces",
    "Traces of erased people that the daily look found, and no later one found gone.",
    [...traces].map(([labels, of]) => [labels, of.reduce((sum, one) => sum + one.traces, 0)]),
  );
  gauge(
    "erasure_check_failed",
    "1 where a store could not look the last time.",
    (check?.stores ?? []).map(({ store, error }) => [`{store="${store}"}`, Number(error !== null)]),
  );
  // Absent before the first: no look has found nothing.
  const age = check === null ? [] : [["", Math.max(0, nowMs - Date.parse(check.started_at)) / 1_000] as const];
  gauge("erasure_check_age_seconds", "Since the daily look for erased people last began.", age);
  return lines;
}
