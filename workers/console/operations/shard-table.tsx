/** Every term of the ledger's sum, by shard and sink. */
import { Fragment } from "preact";
import type { Ledger } from "../../../durable-objects/event-log/ledger.ts";
import { SINKS } from "../../../durable-objects/sink-cursor/api.ts";
import { LAG_OBJECTIVE_S } from "../../objectives.ts";
import { formatCount, formatDuration } from "../shell/format.ts";
import { Scroll } from "../shell/scroll.tsx";
import { SINK_LABELS } from "./health.ts";

export function ShardTable({ ledger }: { ledger: Ledger }) {
  return (
    <section class="card" id="ledger">
      <h2>Ledger</h2>
      <p class="quiet">
        accepted = applied + duplicates + quarantined + suppressed + holes + in flight, for each sink of each shard
      </p>
      <Scroll label="Ledger by shard and sink">
        <table class="ledger">
          <thead>
            <tr>
              <th>Shard</th>
              <th>Sink</th>
              <th class="number">Applied</th>
              <th class="number">In flight</th>
              <th class="number">Holes</th>
              <th class="number">Cursor of head</th>
              <th class="number">Behind</th>
              <th>Sum</th>
            </tr>
          </thead>
          <tbody>
            {ledger.shards.map((shard) => (
              <Fragment key={shard.shard}>
                {SINKS.map((sink, i) => {
                  const { applied, in_flight, holes, cursor, lag_seconds, balanced } = shard.sinks[sink];
                  return (
                    <tr key={sink} class={i === 0 ? "first" : undefined}>
                      {i === 0 && (
                        <th rowSpan={SINKS.length} scope="rowgroup">
                          {shard.shard}
                          <span class="quiet">
                            {formatCount(shard.accepted)} accepted
                            <br />
                            {formatCount(shard.duplicates)} duplicates
                            <br />
                            {formatCount(shard.quarantined)} quarantined
                            {shard.gaps > 0 && (
                              <>
                                <br />
                                <strong class="warn">{formatCount(shard.gaps)} messages missing</strong>
                              </>
                            )}
                          </span>
                        </th>
                      )}
                      <td>{SINK_LABELS[sink]}</td>
                      <td class="number">{formatCount(applied)}</td>
                      <td class="number">{formatCount(in_flight)}</td>
                      <td class={`number ${holes > 0 ? "warn" : ""}`}>{formatCount(holes)}</td>
                      <td class="number">
                        {formatCount(cursor)} of {formatCount(shard.head)}
                      </td>
                      <td class={`number ${lag_seconds > LAG_OBJECTIVE_S[sink] ? "warn" : ""}`}>
                        {formatDuration(lag_seconds * 1_000)}
                      </td>
                      <td>{balanced ? <span class="good">✓ adds up</span> : <strong class="warn">✗ is off</strong>}</td>
                    </tr>
                  );
                })}
              </Fragment>
            ))}
          </tbody>
        </table>
      </Scroll>
    </section>
  );
}
