/** Whether events are as their contracts expect: what does not hold, what share of each source's events has what, and who is told. */
import type { BreakJson, ContractsJson, SourceCoverageJson, WebhookJson } from "../../operations-json.ts";
import { formatCount, formatCounted, formatShare } from "../shell/format.ts";
import { Scroll } from "../shell/scroll.tsx";

const EXPECTATIONS: Readonly<Record<string, string>> = {
  present: "too few have",
  per_hour: "events in an hour",
  freshness_minutes: "minutes since the newest",
  clock_skew_minutes: "minutes that clocks are off",
  failure_rate: "share that breaks the contract",
};
/** As shares; others are counts. */
const SHARES = new Set(["present", "failure_rate"]);

export function ContractsCard({ contracts }: { contracts: ContractsJson }) {
  const { judged_through, breaks, open_breaks, coverage, webhooks, left_events, left_breaks, left_lines } = contracts;
  if (coverage.length === 0 && webhooks.length === 0 && open_breaks === 0) return null;
  const left = left_lines + left_events + left_breaks + open_breaks - breaks.length;
  return (
    <section class="card" id="contracts">
      <h2>Contracts</h2>
      <p class="quiet">
        {judged_through === null
          ? "No hour has been judged yet."
          : `Hours are judged up to ${minuteOf(judged_through)} UTC.`}{" "}
        {open_breaks === 0 ? "What is expected holds." : `${formatCounted(open_breaks, "expectation")} broken.`} Causes
        are on <a href="/quarantine">Quarantine</a>.
      </p>
      {breaks.length > 0 && <Breaks breaks={breaks} />}
      {coverage.length > 0 && <Coverage lines={coverage} />}
      {left > 0 && <p class="quiet">And {formatCount(left)} more that there was no room for.</p>}
      {webhooks.length > 0 && <Webhooks webhooks={webhooks} />}
    </section>
  );
}

function Breaks({ breaks }: { breaks: readonly BreakJson[] }) {
  const told = (expectation: string, value: number) =>
    SHARES.has(expectation) ? formatShare(value) : formatCount(value);
  return (
    <Scroll label="Expectations that do not hold">
      <table class="ledger">
        <thead>
          <tr>
            <th>Event</th>
            <th>Source</th>
            <th>Not as expected</th>
            <th class="number">Expected</th>
            <th class="number">Is</th>
            <th>Since</th>
          </tr>
        </thead>
        <tbody>
          {breaks.map(({ break: id, event, source, expectation, field, expected, actual, since }) => (
            <tr key={id} class="first">
              <td>{event}</td>
              <td>{source}</td>
              <td class="warn">
                {EXPECTATIONS[expectation] ?? expectation} {field && <code>{field}</code>}
              </td>
              <td class="number">{told(expectation, expected)}</td>
              <td class="number">{told(expectation, actual)}</td>
              <td>{minuteOf(since)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

function Coverage({ lines }: { lines: readonly SourceCoverageJson[] }) {
  return (
    <Scroll label="Coverage by event and source">
      <table class="ledger">
        <thead>
          <tr>
            <th>Event</th>
            <th>Source</th>
            <th>Hour</th>
            <th class="number">Came</th>
            <th class="number">Off contract</th>
            <th>Have</th>
          </tr>
        </thead>
        <tbody>
          {lines.map((line) => (
            <tr key={`${line.event} ${line.source}`} class="first">
              <td>{line.event}</td>
              <td>{line.source}</td>
              <td>
                {minuteOf(line.hour)}
                {!line.is_final && " (so far)"}
              </td>
              <td class="number">{formatCount(line.events + line.quarantined)}</td>
              <td class="number">{formatShare(line.failure_rate)}</td>
              <td>
                {Object.entries(line.coverage).map(([field, share]) => (
                  <span key={field} class="has">
                    <code>{field}</code> {formatShare(share)}{" "}
                  </span>
                ))}
                {line.unread !== null && <span class="quiet">too much to read</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

function Webhooks({ webhooks }: { webhooks: readonly WebhookJson[] }) {
  return (
    <Scroll label="Webhooks">
      <table class="ledger">
        <thead>
          <tr>
            <th>Webhook</th>
            <th class="number">Delivered</th>
            <th class="number">Waiting</th>
            <th class="number">Given up</th>
            <th>Last error</th>
          </tr>
        </thead>
        <tbody>
          {webhooks.map(({ id, url, description, delivered, waiting, given_up, last_error }) => (
            <tr key={id} class="first">
              <td>{description || url}</td>
              <td class="number">{formatCount(delivered)}</td>
              <td class="number">{formatCount(waiting)}</td>
              <td class={given_up > 0 ? "number warn" : "number"}>{formatCount(given_up)}</td>
              <td>{last_error ?? "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

const minuteOf = (iso: string): string => iso.slice(0, 16).replace("T", " ");
