/** Statements that were run in this browser, newest first. */
import { useState } from "preact/hooks";
import { formatBytes, formatCount, formatWhen } from "../../shell/format.ts";
import { HISTORY_MAX, history, matching, type PastRun } from "../history.ts";
import { useStoredList } from "../stored-list.ts";
import { SearchField } from "./search-field.tsx";

/** More are found by searching. */
const SHOWN = 60;

export function HistoryList({ onUse }: { onUse(sql: string): void }) {
  const runs = useStoredList(history);
  const [sought, setSought] = useState("");
  const found = matching(runs, sought);
  if (runs.length === 0) {
    return <p class="quiet">Statements that you run are kept here, in this browser only: the last {HISTORY_MAX}.</p>;
  }
  return (
    <>
      <SearchField label="Search the history" value={sought} onInput={setSought} />
      <p class="hidden" role="status">
        {formatCount(found.length)} found
      </p>
      {found.length === 0 && <p class="quiet">None has these words.</p>}
      <ul class="past">
        {found.slice(0, SHOWN).map((run) => (
          <li key={run.sql}>
            <button type="button" class="plain" title={run.sql} onClick={() => onUse(run.sql)}>
              <code>{run.sql.slice(0, 300)}</code>
              <span class={run.outcome === "failed" ? "quiet wrong" : "quiet"}>{runWords(run)}</span>
            </button>
            <button
              type="button"
              class="plain remove"
              aria-label="Forget this statement"
              title="Forget it"
              onClick={() => history.remove(run.sql)}
            >
              ×
            </button>
          </li>
        ))}
      </ul>
      {found.length > SHOWN && <p class="quiet">and {formatCount(found.length - SHOWN)} older</p>}
      <button type="button" onClick={() => history.clear()}>
        Forget all
      </button>
    </>
  );
}

function runWords({ at, outcome, tookMs, rows, bytesRead }: PastRun): string {
  const words = [formatWhen(at, Date.now())];
  if (outcome !== "done") words.push(outcome);
  if (rows !== undefined) words.push(`${formatCount(rows)} ${rows === 1 ? "row" : "rows"}`);
  words.push(`${(tookMs / 1_000).toFixed(1)} s`);
  if (bytesRead) words.push(formatBytes(bytesRead));
  return words.join(" · ");
}
