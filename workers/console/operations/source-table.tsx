/** What each source sent, and how much of it the log had already. */
import type { Ledger } from "../../../durable-objects/event-log/ledger.ts";
import { formatCount, formatShare } from "../shell/format.ts";
import { Scroll } from "../shell/scroll.tsx";

export function SourceTable({ ledger }: { ledger: Ledger }) {
  const { sources } = ledger;
  if (sources.length === 0) return null;
  return (
    <section class="card" id="sources">
      <h2>Sources</h2>
      <Scroll label="Events by source">
        <table class="ledger">
          <thead>
            <tr>
              <th>Source</th>
              <th class="number">Events</th>
              <th class="number">Duplicates</th>
              <th class="number">Share</th>
              <th class="number">Late</th>
              <th class="number">Clock skewed</th>
            </tr>
          </thead>
          <tbody>
            {sources.map(({ source, events, duplicates, late, clock_skewed }) => (
              <tr key={source} class="first">
                <td>{source}</td>
                <td class="number">{formatCount(events)}</td>
                <td class="number">{formatCount(duplicates)}</td>
                <td class="number">{formatShare(events === 0 ? 0 : duplicates / events)}</td>
                <td class="number">{formatCount(late)}</td>
                <td class="number">{formatCount(clock_skewed)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </section>
  );
}
