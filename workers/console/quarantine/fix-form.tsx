/** The fix: which version the events are to keep to, and what is mended first. Tried before it is done. */
import { useState } from "preact/hooks";
import { formatCounted } from "../shell/format.ts";
import type { Problem } from "../shell/problem.ts";
import { type CauseJson, type RedriveSum, redrive } from "./causes.ts";

interface FixProps {
  readonly cause: CauseJson;
  readonly versions: readonly number[];
  readonly done: () => void;
}

type Outcome = { readonly of: "try" | "release"; readonly sum: RedriveSum; readonly ended: boolean };

export function FixForm({ cause, versions, done }: FixProps) {
  const [version, setVersion] = useState<number | null>(null);
  const [mapping, setMapping] = useState("");
  const [busy, setBusy] = useState(false);
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const [fault, setFault] = useState<Problem | string | null>(null);

  const act = async (of: Outcome["of"]) => {
    setFault(null);
    setOutcome(null);
    const steps = mappingOf(mapping);
    if (steps === null) return setFault("The mapping is no JSON list of steps.");
    setBusy(true);
    const told = (sum: RedriveSum) => setOutcome({ of, sum, ended: false });
    const answer = await redrive(cause, { version: version ?? versions.at(-1) ?? null, mapping: steps }, of, told);
    setBusy(false);
    if (answer.ok) setOutcome({ of, sum: answer.value, ended: true });
    else setFault(answer.error);
    done();
  };
  return (
    <section class="card fix">
      <h2>Fix</h2>
      <p class="quiet">
        Events that keep to the version, once mended, go back into the log and from there into every store, with their
        own times. The others stay. Rows in the table <code>quarantine</code> stay as the record.
      </p>
      <form onSubmit={(event) => event.preventDefault()}>
        <label>
          Are to keep to
          <select
            value={String(version ?? versions.at(-1) ?? "")}
            onChange={(event) => setVersion(Number(event.currentTarget.value))}
          >
            {versions.toReversed().map((one, i) => (
              <option key={one} value={one}>
                version {one}
                {i === 0 ? " (newest)" : ""}
              </option>
            ))}
          </select>
        </label>
        <label>
          Mended first, by these steps
          <textarea
            rows={3}
            spellcheck={false}
            placeholder={'[{"field": "price", "as": "number"}, {"field": "product_id", "from": "productId"}]'}
            value={mapping}
            onInput={(event) => setMapping(event.currentTarget.value)}
          />
        </label>
        <div class="actions">
          <button type="button" disabled={busy} onClick={() => void act("try")}>
            Try
          </button>
          <button type="button" class="primary" disabled={busy} onClick={() => void act("release")}>
            Give back to the log
          </button>
        </div>
      </form>
      <div role="status">{outcome && <Told {...outcome} />}</div>
      {fault && (
        <p class="notice" role="alert">
          {typeof fault === "string" ? fault : [fault.title, fault.detail].filter(Boolean).join(": ")}
        </p>
      )}
    </section>
  );
}

/** @returns null where it is no list */
function mappingOf(text: string): unknown[] | null {
  if (text.trim() === "") return [];
  try {
    const steps: unknown = JSON.parse(text);
    return Array.isArray(steps) ? steps : null;
  } catch {
    return null;
  }
}

function Told({ of, sum, ended }: Outcome) {
  const went = of === "try" ? "would go back" : "went back";
  const notes = [
    sum.releasedBefore > 0 && `${formatCounted(sum.releasedBefore, "event")} had gone back before.`,
    sum.sentAgain > 0 && `${formatCounted(sum.sentAgain, "event")} had been sent again, right.`,
    sum.unreadable > 0 && `${formatCounted(sum.unreadable, "segment")} cannot be read.`,
  ].filter(Boolean);
  return (
    <div class="told">
      <p>
        <strong>
          {formatCounted(sum.released, "event")} of {sum.lookedAt} {went}
          {ended ? "." : ", so far…"}
        </strong>{" "}
        {notes.join(" ")}
      </p>
      {sum.refused > 0 && (
        <>
          <p class="warn">{formatCounted(sum.refused, "event")} would still break the contract:</p>
          <ul>
            {sum.reasons.map((reason) => (
              <li key={JSON.stringify(reason)}>
                <code>{reason.field ?? "the event"}</code> {reason.expected}: {formatCounted(reason.events, "event")}
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}
