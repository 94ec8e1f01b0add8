/** Replays, corrections and audits: how far each is, and what can be done with it. */
import type { JobAction } from "../../../durable-objects/replay-desk/api.ts";
import type { JobJson, JobsJson } from "../../job-json.ts";
import { formatCount, formatDuration, formatRate, formatWhen } from "../shell/format.ts";
import { Failed, Loading } from "../shell/states.tsx";
import { ActionButton } from "./actions.tsx";
import { ReplayForm } from "./replay-form.tsx";
import { usePoll } from "./use-poll.ts";

const EVERY_MS = 2_000;
const SHOWN = 20;

/** How an action is called, and what is asked first where it cannot be taken back. */
const ACTIONS: Readonly<Record<JobAction, { readonly label: string; readonly question?: string }>> = {
  confirm: { label: "Confirm", question: "Let the old go? It cannot be brought back afterwards." },
  swap: { label: "Swap in" },
  revert: { label: "Put the old back" },
  resume: { label: "Resume" },
  leave_out: {
    label: "Leave out what cannot be read",
    question:
      "Build without the segments that cannot be read? Their events will be missing. You can still look before the swap.",
  },
  cancel: { label: "Cancel" },
  abandon: {
    label: "Abandon",
    question: "Set this job aside, so that others can go on? What readers see stays as it is.",
  },
};

export function JobList() {
  const { value, problem, refresh } = usePoll<JobsJson>(`/v1/replays?limit=${SHOWN}`, EVERY_MS);
  return (
    <section class="card" id="jobs">
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

function JobItem({ job, refresh }: { job: JobJson; refresh: () => void }) {
  const { progress, comparison } = job;
  const now = Date.now();
  const path = job.kind === "correction" ? `/v1/corrections/${job.id}` : `/v1/replays/${job.id}`;
  const moves = job.state === "running" || job.state === "confirming" || job.state === "reverting";
  return (
    <li>
      <div class="title">
        <h3>
          {job.kind === "tiles" ? "custom rollups" : `${job.kind} ${job.sinks.join(", ")}`} {rangeText(job, now)}
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
      {job.waits_for && <p class="quiet">waits for {job.waits_for}</p>}
      {job.error && <p class="detail warn">{job.error}</p>}
      {job.ended_at && job.outcome && <p class="quiet">{job.outcome}</p>}
      <div class="actions">
        {job.actions.filter(isForPeople(job)).map((name) => (
          <ActionButton key={name} {...ACTIONS[name]} path={`${path}/${name}`} done={refresh} />
        ))}
      </div>
    </li>
  );
}

/** A preview of a correction is confirmed by who has made it, beside what it has counted. */
const isForPeople =
  ({ state }: JobJson) =>
  (action: JobAction): boolean =>
    state !== "preview" || action === "cancel";

function rangeText({ from, to }: JobJson, now: number): string {
  const when = (time: string) => formatWhen(Date.parse(time), now);
  if (from && to) return `from ${when(from)} to ${when(to)}`;
  if (from) return `since ${when(from)}`;
  return to ? `up to ${when(to)}` : "";
}
