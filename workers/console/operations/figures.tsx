/** The figures on top: each says one thing, and leads to what explains it. */
import type { ComponentChildren } from "preact";
import type { OperationsJson } from "../../operations-json.ts";
import {
  formatBytes,
  formatCount,
  formatCounted,
  formatDuration,
  formatRate,
  formatShare,
  formatShort,
} from "../shell/format.ts";
import { dollars } from "./cost-card.tsx";
import { Sparkline } from "./sparkline.tsx";
import { rateAt, rates, type Sample } from "./trail.ts";

export function Figures({ operations, trail }: { operations: OperationsJson; trail: readonly Sample[] }) {
  const { ledger, queues, lake, cost_today: cost } = operations;
  const { total, today } = ledger;
  const rate = rateAt(trail);
  const waiting = queues.reduce((sum, { messages }) => sum + (messages ?? 0), 0);
  const oldest = Math.max(0, ...queues.map(({ oldest_seconds }) => oldest_seconds ?? 0));
  return (
    <dl class="totals">
      <Figure name="Events a second" value={rate === null ? "…" : formatRate(rate)} link={PER_MINUTE}>
        {formatCount(today.events)} today
        <Sparkline values={rates(trail)} />
      </Figure>
      <Figure name="Accepted" value={formatShort(total.accepted)} link={{ to: "#ledger", text: "see the ledger" }}>
        {formatCount(total.in_flight)} in flight to a store
      </Figure>
      <Figure
        name="On the queues"
        value={formatShort(waiting)}
        link={{ to: "#pressure", text: "see queues and objects" }}
      >
        {waiting === 0 ? "no message waits" : `messages, the oldest ${formatDuration(oldest * 1_000)}`}
      </Figure>
      <Figure
        name="A million events cost"
        value={cost.dollars_per_million === null ? "–" : dollars(cost.dollars_per_million)}
        link={{ to: "#cost", text: "see what for" }}
      >
        {cost.dollars_per_million === null ? "nothing came today" : `${dollars(cost.dollars)} so far today, estimated`}
        {isThin(today) && "; little traffic is dear"}
      </Figure>
      <Figure
        name="Duplicates"
        value={formatShort(total.duplicates)}
        link={{ to: "#sources", text: "see the sources" }}
      >
        {formatShare(total.accepted === 0 ? 0 : total.duplicates / total.accepted)} of what was sent
      </Figure>
      <Figure name="Quarantined" value={formatShort(total.quarantined)} link={QUARANTINE}>
        did not fit their columns
      </Figure>
      <Figure name="The lake" value={formatBytes(lake.bytes)} link={{ to: "#history", text: "see its history" }}>
        {formatShort(lake.rows)} events in {formatCounted(lake.files, "file")}
      </Figure>
      <Figure name="Late" value={formatShort(total.late)} link={CORRECTED}>
        {formatCount(total.clock_skewed)} from a clock that cannot be right
      </Figure>
    </dl>
  );
}

/** A shard of 7,000 events a second over 16 has some 400 in a segment, and of 100 a second in one shard 100. */
const isThin = ({ events, segments }: OperationsJson["ledger"]["today"]): boolean =>
  segments > 0 && events / segments < 100;

interface Link {
  readonly to: string;
  readonly text: string;
}

interface FigureProps {
  readonly name: string;
  readonly value: string;
  readonly link: Link;
  readonly children: ComponentChildren;
}

function Figure({ name, value, link, children }: FigureProps) {
  return (
    <div class="card">
      <dt>{name}</dt>
      <dd>{value}</dd>
      <dd class="quiet">{children}</dd>
      <dd class="quiet">
        <a href={link.to} aria-label={`${name}: ${link.text}`}>
          {link.text}
        </a>
      </dd>
    </div>
  );
}

const sqlLink = (sql: string, text: string): Link => ({ to: `/sql#${new URLSearchParams({ sql })}`, text });

const PER_MINUTE = sqlLink(
  `SELECT date_trunc('minute', received_at) AS minute, source, count(*) AS events
FROM events
WHERE received_at > now() - INTERVAL 1 HOUR
GROUP BY minute, source
ORDER BY minute`,
  "by source, in SQL",
);
const QUARANTINE = sqlLink(
  `SELECT cause, field, app_version, count(*) AS events, max(received_at) AS newest
FROM quarantine
GROUP BY ALL
ORDER BY events DESC`,
  "by cause, in SQL",
);
const CORRECTED = sqlLink(
  `SELECT source, app_version, count(*) AS events, max(received_at - event_time) AS latest
FROM events
WHERE list_contains(flags, 'late')
GROUP BY ALL
ORDER BY events DESC`,
  "by source, in SQL",
);
