/** Whether the pipeline is well: the ledger by shard and sink, what could not be handled, and the replays under way. */
import type { Ledger } from "../../../durable-objects/event-log/ledger.ts";
import { formatClock, formatCount, formatDuration, formatRate, formatShort } from "../shell/format.ts";
import { Failed, Loading } from "../shell/states.tsx";
import { CutList } from "./cut-list.tsx";
import { healthOf, ratePerSecond, SINK_LABELS } from "./health.ts";
import { JobList } from "./job-list.tsx";
import { QuarantineList } from "./quarantine-list.tsx";
import { ShardTable } from "./shard-table.tsx";
import { SourceTable } from "./source-table.tsx";
import { type Polled, usePoll } from "./use-poll.ts";

const LEDGER_EVERY_MS = 2_000;

export function OperationsPage() {
  const ledger = usePoll<Ledger>("/v1/ledger", LEDGER_EVERY_MS);
  if (ledger.value === null) {
    return ledger.problem ? (
      <Failed problem={ledger.problem} scope="admin" retry={ledger.refresh} />
    ) : (
      <Loading what="the ledger" />
    );
  }
  return (
    <>
      <div class="title">
        <h1>Operations</h1>
        <p class="quiet">as of {formatClock(ledger.at)}</p>
      </div>
      {ledger.problem && (
        <p class="notice" role="alert">
          The ledger cannot be read at the moment ({ledger.problem.title}); these figures are from{" "}
          {formatClock(ledger.at)}.
        </p>
      )}
      <Verdict ledger={ledger.value} />
      <Figures polled={ledger} ledger={ledger.value} />
      <ShardTable ledger={ledger.value} />
      <QuarantineList />
      <CutList stored={ledger.value.stored} />
      <JobList />
      <SourceTable ledger={ledger.value} />
    </>
  );
}

function Verdict({ ledger }: { ledger: Ledger }) {
  const { state, sentence, matters } = healthOf(ledger);
  return (
    <section class={`card verdict ${state}`} aria-live="polite">
      <h2>{sentence}</h2>
      {matters.length > 0 && (
        <ul>
          {matters.map((matter) => (
            <li key={matter}>{matter}</li>
          ))}
        </ul>
      )}
    </section>
  );
}

function Figures({ polled, ledger }: { polled: Polled<Ledger>; ledger: Ledger }) {
  const { total, shards } = ledger;
  const rate = polled.before && ratePerSecond(polled.before.value, ledger, polled.at - polled.before.at);
  const lag = Math.max(0, ...shards.flatMap(({ sinks }) => Object.values(sinks).map((sink) => sink.lag_seconds)));
  const slowest = (Object.keys(SINK_LABELS) as (keyof typeof SINK_LABELS)[]).find((sink) =>
    shards.some(({ sinks }) => sinks[sink].lag_seconds === lag),
  );
  return (
    <dl class="totals">
      <div class="card">
        <dt>Accepted</dt>
        <dd>{formatShort(total.accepted)}</dd>
        <dd class="quiet">{rate === null ? "events" : `${formatRate(rate)} a second now`}</dd>
      </div>
      <div class="card">
        <dt>In flight</dt>
        <dd>{formatShort(total.in_flight)}</dd>
        <dd class="quiet">accepted, not yet in every store</dd>
      </div>
      <div class="card">
        <dt>Furthest behind</dt>
        <dd>{formatDuration(lag * 1_000)}</dd>
        <dd class="quiet">{lag > 0 && slowest ? SINK_LABELS[slowest] : "all sinks are at the head"}</dd>
      </div>
      <div class="card">
        <dt>Duplicates</dt>
        <dd>{formatShort(total.duplicates)}</dd>
        <dd class="quiet">
          {formatCount(total.quarantined)} quarantined, {formatCount(total.late)} late
        </dd>
      </div>
    </dl>
  );
}
