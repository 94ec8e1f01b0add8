/** What a trial has found so far: how many would fail, by source and app version, and some of them. */
import type { TrialSum } from "../../trial-json.ts";
import { formatCount, formatCounted, formatShare } from "../shell/format.ts";
import { Scroll } from "../shell/scroll.tsx";

interface TrialResultProps {
  readonly sum: TrialSum;
  readonly state: "going on" | "through" | "stopped";
}

const GROUPS_SHOWN = 20;

export function TrialResult({ sum, state }: TrialResultProps) {
  const { events, would_fail, failures, sources, samples, segments, unreadable, from, to } = sum;
  const notes = [
    state === "going on" && "It goes on…",
    state === "stopped" && "Stopped before it was through.",
    unreadable > 0 && `${formatCounted(unreadable, "segment")} cannot be read.`,
  ].filter(Boolean);
  const ofSource = new Map(sources.map((one) => [one.source, one.events]));
  return (
    <div class="told">
      <p>
        <strong class={would_fail > 0 ? "warn" : undefined}>
          {formatCount(would_fail)} of {formatCounted(events, "event")} would fail
          {events > 0 && ` (${formatShare(would_fail / events)})`}
          {state === "through" ? "." : " so far."}
        </strong>{" "}
        <span class="quiet">
          {sum.event_name} against version {sum.version}, {minuteOf(from)} to {minuteOf(to)} UTC,{" "}
          {formatCounted(segments, "segment")} read. {notes.join(" ")}
        </span>
      </p>
      {failures.length > 0 && (
        <Scroll label="Would fail, by source and app version">
          <table>
            <thead>
              <tr>
                <th scope="col">Source</th>
                <th scope="col">App version</th>
                <th scope="col">Field</th>
                <th scope="col">Expected</th>
                <th scope="col" class="number">
                  Events
                </th>
                <th scope="col" class="number">
                  Of its source
                </th>
              </tr>
            </thead>
            <tbody>
              {failures.slice(0, GROUPS_SHOWN).map(({ source, app_version, field, expected, events: failed }) => (
                <tr key={`${source} ${app_version} ${field} ${expected}`}>
                  <td>{source}</td>
                  <td>{app_version ?? "–"}</td>
                  <td>
                    <code>{field ?? "the event"}</code>
                  </td>
                  <td>{expected}</td>
                  <td class="number">{formatCount(failed)}</td>
                  <td class="number">{formatShare(failed / (ofSource.get(source) || failed))}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
      {failures.length > GROUPS_SHOWN && (
        <p class="quiet">And {formatCounted(failures.length - GROUPS_SHOWN, "kind")} more.</p>
      )}
      {samples.length > 0 && (
        <details>
          <summary>{formatCounted(samples.length, "sample")}</summary>
          <ul>
            {samples.map(({ event_id, field, actual, shard, seq }) => (
              <li key={`${shard}/${seq}/${event_id}`}>
                <code>{event_id}</code>: <code>{field ?? "the event"}</code> is {actual ?? "not there"}{" "}
                <span class="quiet">
                  (shard {shard}, segment {seq})
                </span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}

const minuteOf = (iso: string): string => iso.slice(0, 16).replace("T", " ");
