/** A job of the desk as the API shows it. Times leave as text, names in snake_case. Pure. */
import type { DeskOverview, Job, ReplaySpec, TilesSpec } from "../../durable-objects/replay-desk/api.ts";
import { isWorking } from "../../durable-objects/replay-desk/job-rules.ts";
import { SINKS } from "../../durable-objects/sink-cursor/api.ts";
import type { ReplayProgress } from "../../queues/replay/progress.ts";
import type { RuleProgress } from "../../queues/replay/rule-progress.ts";
import { ALL_CORRECTED } from "../../queues/replay/uncorrected.ts";
import { isoMicros } from "../../r2-layout/time.ts";
import type { JobJson, JobsJson } from "../job-json.ts";

const isoOf = (ms: number): string => new Date(ms).toISOString();
const iso = (ms: number | null): string | null => (ms === null ? null : isoOf(ms));

type KindMembers = Pick<JobJson, "sinks" | "from" | "to" | "comparison" | "note">;

export function jobJson(job: Job): JobJson {
  const { spec } = job;
  return {
    id: job.id,
    kind: job.kind,
    state: job.state,
    phase: phaseOf(job),
    ...membersOf(job),
    progress: {
      events: job.meter.read,
      total: job.meter.total,
      events_per_second: job.meter.rate,
      eta_seconds: etaSeconds(job),
    },
    rate: spec.rate,
    waits_for: job.waitsFor,
    error: job.error,
    attempts: job.attempts,
    actions: job.actions,
    outcome: job.outcome,
    created_at: isoOf(job.createdAt),
    started_at: iso(job.startedAt),
    updated_at: isoOf(job.updatedAt),
    ended_at: iso(job.endedAt),
  };
}

export const jobsJson = ({ jobs, settled, next }: DeskOverview): JobsJson & Pick<DeskOverview, "settled"> => ({
  replays: jobs.map(jobJson),
  settled,
  next: next === undefined ? null : String(next),
});

function membersOf(job: Job): KindMembers & Record<string, unknown> {
  const { spec } = job;
  if (spec.kind === "tiles") return tilesMembers(spec);
  return spec.kind === "fill" || spec.kind === "rebuild" ? replayMembers(job, spec) : ruleMembers(job);
}

/** Custom rollups: `from` and `to` are those of the hours that are filled anew; all of the past where there are none. */
const tilesMembers = ({ tiles, windows }: TilesSpec): KindMembers & Record<string, unknown> => ({
  sinks: ["rollups"],
  tiles,
  from: iso(windows?.[0]?.from ?? null),
  to: iso(windows?.at(-1)?.to ?? null),
  comparison: null,
  note: null,
});

function replayMembers(job: Job, spec: ReplaySpec): KindMembers & Record<string, unknown> {
  const progress = job.progress as ReplayProgress | null;
  const built = spec.sinks.flatMap((sink) => {
    const comparison = progress?.sinks[sink]?.comparison;
    return comparison ? [{ sink, ...comparison }] : [];
  });
  return {
    sinks: spec.sinks,
    mode: spec.kind,
    ...(spec.kind === "rebuild" && { swap: spec.swap }),
    from: iso(spec.from),
    to: iso(spec.to),
    shard: spec.range?.shard ?? null,
    from_seq: spec.range?.from ?? null,
    to_seq: spec.range?.to ?? null,
    comparison: built.length > 0 ? built : null,
    positions: spec.sinks.map((sink) => ({
      sink,
      stage: progress?.sinks[sink]?.stage ?? "waiting",
      ...(spec.kind === "fill" && { missing: progress?.sinks[sink]?.missing ?? 0 }),
      shards: (progress?.sinks[sink]?.reads ?? []).map(({ shard, start, after, to, steps }) => ({
        shard,
        from_seq: start + 1,
        at_seq: after,
        to_seq: to,
        steps,
      })),
    })),
    unreadable: progress?.unreadable ?? null,
    note: null,
  };
}

/** Of a correction, a settlement or an audit. */
function ruleMembers(job: Job): KindMembers & Record<string, unknown> {
  const { spec } = job;
  const own = job.progress as
    | (RuleProgress & { readonly rules?: unknown })
    | { readonly rules: RuleProgress | null }
    | null;
  const rules =
    own === null ? null : spec.kind === "correction" ? (own as RuleProgress) : (own.rules as RuleProgress | null);
  return {
    sinks: SINKS,
    from: spec.kind === "correction" && spec.filter.from !== undefined ? isoMicros(spec.filter.from) : null,
    to: spec.kind === "correction" && spec.filter.to !== undefined ? isoMicros(spec.filter.to) : null,
    ...(spec.kind === "correction" && { filter: spec.filter, change: spec.change }),
    ...(spec.kind === "audit" && { days: spec.days }),
    ...((job.preview as Record<string, unknown> | null) ?? {}),
    comparison: null,
    rules: rules && rulesJson(rules),
    note: spec.kind === "correction" ? spec.note : null,
  };
}

function rulesJson({
  stage,
  versions,
  places,
  pairs,
  hours,
  lakeBefore,
  snapshot,
  settled,
  uncorrected = ALL_CORRECTED,
}: RuleProgress): Record<string, unknown> {
  return {
    stage,
    versions,
    places: places.map((seq, shard) => ({ shard, seq })),
    snapshot_before: lakeBefore?.snapshot ?? null,
    snapshot_after: snapshot,
    lake: { events: pairs.lake },
    sessions: { added: pairs.added, replaced: pairs.replaced, removed: pairs.removed },
    rollups: {
      windows: hours.map(({ from, to }) => ({ from: iso(from), to: iso(to) })),
    },
    uncorrected: {
      sessions: pairs.beyondReach,
      unreadable: {
        ...uncorrected,
        places: uncorrected.places.map(({ window, ...place }) => ({
          ...place,
          from: iso(window?.from ?? null),
          to: iso(window?.to ?? null),
        })),
      },
    },
    settled,
  };
}

/** The stage of what runs, where a driver has one. */
function phaseOf(job: Job): string {
  if (job.state !== "running") return job.state;
  if (job.kind === "fill") return "fill";
  const stage = (job.progress as { readonly stage?: string; readonly rules?: RuleProgress | null } | null)?.stage;
  if (job.kind === "rebuild") return job.phase;
  if (job.kind === "correction") return stage ?? "raise";
  const { rules } = (job.progress ?? {}) as { readonly rules?: RuleProgress | null };
  return rules ? rules.stage : (stage ?? "begin");
}

function etaSeconds({ state, meter }: Job): number | null {
  if (!isWorking(state) || meter.total === null || meter.rate <= 0) return null;
  return Math.ceil(Math.max(0, meter.total - meter.read) / meter.rate);
}
