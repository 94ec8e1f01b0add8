/** Before a version is enforced: how many of the events of the last hours would break it, whose, and which. Changes nothing. */
import { useRef, useState } from "preact/hooks";
import type { TrialSum } from "../../trial-json.ts";
import { usePoll } from "../operations/use-poll.ts";
import type { Problem } from "../shell/problem.ts";
import { Failed, Loading } from "../shell/states.tsx";
import { tryContract } from "./trial.ts";
import { TrialResult } from "./trial-result.tsx";

const EVERY_MS = 60_000;
const DAY_HOURS = 24;
const WEEK_HOURS = 7 * DAY_HOURS;
/** Of the choice of versions. */
const PASTED = "document";

interface EntryJson {
  readonly event_name: string;
  readonly versions: readonly number[];
}

interface Outcome {
  readonly sum: TrialSum;
  readonly state: "going on" | "through" | "stopped";
}

export function TrialForm() {
  const { value, problem, refresh } = usePoll<{ contracts: readonly EntryJson[] }>("/v1/contracts", EVERY_MS);
  return (
    <section class="card fix trial" id="trial">
      <h2>Try a version</h2>
      <p class="quiet">
        What the log has recorded in the last hours, against a version that is not enforced yet. Nothing is changed.
      </p>
      {value === null ? (
        problem ? (
          <Failed problem={problem} scope="sql" retry={refresh} />
        ) : (
          <Loading what="the contracts" />
        )
      ) : (
        <Fields contracts={value.contracts} />
      )}
    </section>
  );
}

function Fields({ contracts }: { contracts: readonly EntryJson[] }) {
  const [event, setEvent] = useState<string | null>(null);
  const [version, setVersion] = useState<string | null>(null);
  const [pasted, setPasted] = useState("");
  const [hours, setHours] = useState(DAY_HOURS);
  const [source, setSource] = useState("");
  const [fault, setFault] = useState<Problem | string | null>(null);
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const [isBusy, setBusy] = useState(false);
  const stopping = useRef<AbortController | null>(null);

  const entry = contracts.find(({ event_name }) => event_name === event) ?? contracts[0];
  const chosen = version ?? (entry ? String(entry.versions.at(-1)) : PASTED);
  const act = async () => {
    setFault(null);
    setOutcome(null);
    const document = chosen === PASTED ? documentOf(pasted) : null;
    if (chosen === PASTED && document === null) return setFault("What was pasted is no JSON document of a contract.");
    const what = document ? { document } : { version: Number(chosen) };
    const name = document ? String(document["x-event"]) : entry!.event_name;
    const stop = new AbortController();
    stopping.current = stop;
    setBusy(true);
    let last: TrialSum | null = null;
    try {
      const asked = { event: name, what, hours, source: source.trim() || null };
      const answer = await tryContract(asked, stop.signal, (sum) => {
        last = sum;
        setOutcome({ sum, state: "going on" });
      });
      if (!answer.ok) setFault(answer.error);
      else if (last) setOutcome({ sum: last, state: "through" });
    } catch {
      if (last) setOutcome({ sum: last, state: "stopped" });
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <form onSubmit={(submit) => submit.preventDefault()}>
        <div class="row">
          {entry && chosen !== PASTED && (
            <label>
              Event
              <select
                value={entry.event_name}
                onChange={({ currentTarget }) => {
                  setEvent(currentTarget.value);
                  setVersion(null);
                }}
              >
                {contracts.map(({ event_name }) => (
                  <option key={event_name}>{event_name}</option>
                ))}
              </select>
            </label>
          )}
          <label>
            Against
            <select value={chosen} onChange={({ currentTarget }) => setVersion(currentTarget.value)}>
              {entry?.versions.toReversed().map((one, i) => (
                <option key={one} value={one}>
                  version {one}
                  {i === 0 ? " (newest)" : ""}
                </option>
              ))}
              <option value={PASTED}>a document…</option>
            </select>
          </label>
          <label>
            Hours
            <input
              type="number"
              min={1}
              max={WEEK_HOURS}
              value={hours}
              onInput={({ currentTarget }) => setHours(currentTarget.valueAsNumber)}
            />
          </label>
          <label>
            Source
            <input
              type="text"
              placeholder="all"
              value={source}
              onInput={({ currentTarget }) => setSource(currentTarget.value)}
            />
          </label>
        </div>
        {chosen === PASTED && (
          <label>
            The contract, as it stands in the repository
            <textarea
              rows={8}
              spellcheck={false}
              placeholder={'{"x-event": "Order Placed", "x-version": 2, …}'}
              value={pasted}
              onInput={({ currentTarget }) => setPasted(currentTarget.value)}
            />
          </label>
        )}
        <div class="actions">
          <button type="button" disabled={isBusy || Number.isNaN(hours)} onClick={() => void act()}>
            Run the trial
          </button>
          {isBusy && (
            <button type="button" onClick={() => stopping.current?.abort()}>
              Stop
            </button>
          )}
        </div>
      </form>
      <div role="status">{outcome && <TrialResult {...outcome} />}</div>
      {fault && (
        <p class="notice" role="alert">
          {typeof fault === "string" ? fault : [fault.title, fault.detail].filter(Boolean).join(": ")}
        </p>
      )}
    </>
  );
}

/** @returns null where it is no document that names its event */
function documentOf(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const document = JSON.parse(text) as Readonly<Record<string, unknown>> | null;
    return typeof document?.["x-event"] === "string" ? document : null;
  } catch {
    return null;
  }
}
