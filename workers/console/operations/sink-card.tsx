/** How far each sink is behind, against how far it may be. */
import type { OperationsJson, SinkDelay } from "../../operations-json.ts";
import { formatCount, formatDuration } from "../shell/format.ts";
import { SINK_LABELS } from "./health.ts";
import { Sparkline } from "./sparkline.tsx";
import type { Sample } from "./trail.ts";

export function SinkCard({ sinks, trail }: Pick<OperationsJson, "sinks"> & { trail: readonly Sample[] }) {
  return (
    <section class="card" id="sinks">
      <h2>Delays</h2>
      <p class="quiet">
        The age of the oldest event that a store lacks. A sink takes what came every few seconds; beyond its objective
        somebody should look.
      </p>
      <ul class="sinks">
        {sinks.map((delay) => (
          <SinkLine key={delay.sink} delay={delay} trail={trail} />
        ))}
      </ul>
    </section>
  );
}

function SinkLine({ delay, trail }: { delay: SinkDelay; trail: readonly Sample[] }) {
  const { sink, lag_seconds: lag, objective_seconds: objective, in_flight, shard } = delay;
  const isOver = lag > objective;
  const label = `${SINK_LABELS[sink]}: ${formatDuration(lag * 1_000)} behind, of ${formatDuration(objective * 1_000)}`;
  return (
    <li>
      <h3>{SINK_LABELS[sink]}</h3>
      <meter min={0} max={objective} high={0.8 * objective} value={Math.min(lag, objective)} aria-label={label} />
      <p>
        {isOver ? <strong class="warn">⚠ {formatDuration(lag * 1_000)}</strong> : <b>{formatDuration(lag * 1_000)}</b>}
        <span class="quiet"> of {formatDuration(objective * 1_000)}</span>
      </p>
      <p class="quiet">
        {in_flight === 0 ? "has everything" : `${formatCount(in_flight)} events to come`}
        {isOver && shard !== null && `, shard ${shard} the furthest behind`}
      </p>
      <Sparkline values={trail.map(({ lag: of }) => of[sink])} top={objective / 4} />
    </li>
  );
}
