/** Replays, corrections and audits: how far each is, and what can be done with it. */
import { formatCount, formatDuration, formatRate, formatWhen } from "../shell/format.ts";
import { Failed, Loading } from "../shell/states.tsx";
import { ActionButton } from "./actions.tsx";
import { ReplayForm } from "./replay-form.tsx";
import { usePoll } from "./use-poll.ts";

const EVERY_MS = 2_000;
const SHOWN = 20;

export interface Job {
  readonly id: string;
  readonly kind: "fill" | "rebuild" | "correction" | "settlement" | "audit";
  readonly state: string;
  readonly phase: string | null;
  readonly sinks: readonly string[];
  /** ISO 8601. */
  readonly from: string | null;
  readonly to: string | null;
  readonly progress: {
    readonly events: number;
    readonly total: number | null;
    readonly events_per_second: number;
    readonly eta_seconds: number | null;
  };
  readonly comparison:
    | readonly {
        readonly sink: string;
        readonly identical: boolean;
        readonly before: number;
        readonly after: number;
        readonly differences: readonly string[];
      }[]
    | null;
  readonly error: string | null;
  readonly note: string | null;
  readonly created_at: string;
}

/** What may be done in which state, and whether it can be taken back. */
const ACTIONS: Readonly<Record<string, readonly { name: string; label: string; question?: string }[]>> = {
  running: [{ name: "cancel", label: "Cancel" }],
  paused: [{ name: "cancel", label: "Cancel" }],
  waiting_for_swap: [
    { name: "swap", label: "Swap in" },
    { name: "cancel", label: "Cancel" },
  ],
  waiting_for_confirmation: [
    { name: "confirm", label: "Confirm", question: "Let the old go? It cannot be brought back afterwards." },
    { name: "revert", label: "Put the old back" },
  ],
};

export function JobList() {
  const { value, problem, refresh } = usePoll<{ replays: readonly Job[] }>(`/v1/replays?limit=${SHOWN}`, EVERY_MS);
  return (
    <section class="card">
      <h2>Replays and corrections</h2>
      {value === null ? (
        problem ? (
          <Failed problem={problem} scope="admin" retry={refresh} />
        ) : (
          <Loading what="the replays" />
        )
      ) : value.replays.length === 0 ? (
        <p class="none">There has been none.</p>
      ) : (
        <ul class="entries">
          {value.replays.map((job) => (
            <JobItem key={job.id} job={job} refresh={refresh} />
          ))}
        </ul>
      )}
      <ReplayForm started={refresh} />
    </section>
  );
}

function JobItem({ job, refresh }: { job: Job; refresh: () => void }) {
  const { progress, comparison } = job;
  const now = Date.now();
  const path = job.kind === "correction" ? `/v1/corrections/${job.id}` : `/v1/replays/${job.id}`;
  const moves = job.state === "running" || job.state === "confirming" || job.state === "reverting";
  return (
    <li>
      <div class="title">
        <h3>
          {job.kind} {job.sinks.join(", ")} {rangeText(job, now)}
        </h3>
        <span>
          <span class="pill">{job.state.replaceAll("_", " ")}</span>{" "}
          <span class="quiet">{formatWhen(Date.parse(job.created_at), now)}</span>
        </span>
      </div>
      {moves && (
        <>
          <progress max={progress.total ?? undefined} value={progress.total === null ? undefined : progress.events} />
          <p class="quiet">
            {job.phase && `${job.phase}: `}
            {formatCount(progress.events)}
            {progress.total !== null && ` of ${formatCount(progress.total)}`} events,{" "}
            {formatRate(progress.events_per_second)} a second
            {progress.eta_seconds !== null && `, ${formatDuration(progress.eta_seconds * 1_000)} left`}
          </p>
        </>
      )}
      {job.note && <p class="detail">{job.note}</p>}
      {comparison?.map(({ sink, identical, before, after, differences }) => (
        <p class="quiet" key={sink}>
          {sink}:{" "}
          {identical ? "the same as before" : `${formatCount(before)} events before, ${formatCount(after)} after`}
          {differences.length > 0 && ` · ${differences.slice(0, 3).join(" · ")}`}
        </p>
      ))}
      {job.error && <p class="detail warn">{job.error}</p>}
      <div class="actions">
        {(ACTIONS[job.state] ?? []).map(({ name, label, question }) => (
          <ActionButton key={name} label={label} path={`${path}/${name}`} done={refresh} question={question} />
        ))}
      </div>
    </li>
  );
}

function rangeText({ from, to }: Job, now: number): string {
  const when = (time: string) => formatWhen(Date.parse(time), now);
  if (from && to) return `from ${when(from)} to ${when(to)}`;
  if (from) return `since ${when(from)}`;
  return to ? `up to ${when(to)}` : "";
}
