/** What broke its contract, by cause; each cause beside the contract that it broke, with the way back into the log. */
import { useState } from "preact/hooks";
import { usePoll } from "../operations/use-poll.ts";
import { formatCounted, formatWhen } from "../shell/format.ts";
import { Empty, Failed, Loading } from "../shell/states.tsx";
import { CauseDetail } from "./cause-detail.tsx";
import { type CauseJson, keyOf } from "./causes.ts";
import { TrialForm } from "./trial-form.tsx";

const EVERY_MS = 15_000;

export function QuarantinePage() {
  const { value, problem, refresh } = usePoll<{ causes: readonly CauseJson[] }>("/v1/violations", EVERY_MS);
  const [chosen, choose] = useState<string | null>(null);
  if (value === null) {
    return problem ? (
      <Failed problem={problem} scope="admin" retry={refresh} />
    ) : (
      <Loading what="what is in quarantine" />
    );
  }
  const { causes } = value;
  const cause = causes.find((one) => keyOf(one) === chosen) ?? causes[0];
  return (
    <>
      <div class="title">
        <h1>Quarantine</h1>
        <p class="quiet">events of the last 7 days that broke their contract</p>
      </div>
      {problem && (
        <p class="notice" role="alert">
          This cannot be read anew at the moment: {problem.title}
        </p>
      )}
      {cause ? (
        <div class="desk">
          <CauseList causes={causes} chosen={keyOf(cause)} choose={choose} />
          <CauseDetail key={keyOf(cause)} cause={cause} refresh={refresh} />
        </div>
      ) : (
        <Empty title="Nothing has broken its contract">
          <p>
            Events are checked once a contract is rolled out to their source. What could not be read at all is on{" "}
            <a href="/operations#quarantine">Operations</a>.
          </p>
        </Empty>
      )}
      <TrialForm />
    </>
  );
}

interface ListProps {
  readonly causes: readonly CauseJson[];
  readonly chosen: string;
  readonly choose: (key: string) => void;
}

function CauseList({ causes, chosen, choose }: ListProps) {
  return (
    <nav class="card causes" aria-label="Causes">
      <ul>
        {causes.map((cause) => (
          <li key={keyOf(cause)}>
            <button
              type="button"
              class="plain cause"
              aria-current={keyOf(cause) === chosen ? "true" : undefined}
              onClick={() => choose(keyOf(cause))}
            >
              <span class="cause-name">{cause.event}</span>
              <span class="number">{formatCounted(cause.events, "event")}</span>
              <span class="cause-why">
                <code>{cause.field ?? "the event"}</code> {cause.expected}
              </span>
              <span class="quiet">
                {cause.source}
                {cause.app_version && `, app ${cause.app_version}`}, last{" "}
                {formatWhen(Date.parse(cause.last.at), Date.now())}
              </span>
            </button>
          </li>
        ))}
      </ul>
    </nav>
  );
}
