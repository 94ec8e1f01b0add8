/** What today's events cost, and what for. */
import type { OperationsJson } from "../../operations-json.ts";
import { formatCounted, formatShare } from "../shell/format.ts";

/** Sums of a local run are far below a cent: as many digits as say something. */
export function dollars(value: number): string {
  if (value === 0) return "$0";
  const digits = value >= 100 ? 0 : value >= 0.1 ? 2 : Math.min(8, 1 - Math.floor(Math.log10(value)));
  return `$${value.toFixed(digits)}`;
}

export function CostCard({ ledger, lake, cost_today: cost }: Pick<OperationsJson, "ledger" | "lake" | "cost_today">) {
  const { today } = ledger;
  return (
    <section class="card" id="cost">
      <h2>Cost today</h2>
      <p class="quiet">
        {formatCounted(today.events, "event")} in {formatCounted(today.messages, "message")},{" "}
        {formatCounted(today.segments, "segment")} of the log and {formatCounted(lake.commits_today, "commit")} of the
        lake since midnight (UTC), at list price, with two years of storage. An estimate: each counted unit stands for
        the operations behind it. Reading, SQL and sockets are not in it.
      </p>
      {cost.dollars_per_million === null ? (
        <p class="none">Nothing came today, so nothing was spent on it.</p>
      ) : (
        <>
          <p class="cost-sum">
            <b>{dollars(cost.dollars_per_million)}</b> a million events
            <span class="quiet">
              {" "}
              · {dollars(cost.dollars)} so far
              {today.messages > 0 && ` · ${(today.events / today.messages).toFixed(1)} events a request`}
            </span>
          </p>
          <ul class="cost-parts">
            {cost.parts.map(({ part, dollars: of }) => (
              <li key={part}>
                <span>{part}</span>
                <meter min={0} max={cost.parts[0]!.dollars} value={of} aria-label={`Share of ${part}`} />
                <span class="number">{dollars((of * cost.dollars_per_million!) / cost.dollars)}</span>
                <span class="quiet number">{formatShare(of / cost.dollars)}</span>
              </li>
            ))}
          </ul>
          <p class="quiet">
            Few events a second cost more each: a shard commits, wakes its stores and writes a file every few seconds
            whatever comes. At 7,000 a second, 20 a request, it is $0.27.
          </p>
        </>
      )}
    </section>
  );
}
