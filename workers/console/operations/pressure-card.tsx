/** What waits on each queue, and what each shard's log has used of its object. */
import type { ObjectPressure, OperationsJson } from "../../operations-json.ts";
import { formatBytes, formatCount, formatDuration, formatShare } from "../shell/format.ts";
import { Scroll } from "../shell/scroll.tsx";

export function PressureCard({ ledger, queues, objects }: Pick<OperationsJson, "ledger" | "queues" | "objects">) {
  const of = (index: number, what: ObjectPressure["what"]) => objects.filter((object) => object.what === what)[index];
  return (
    <section class="card" id="pressure">
      <h2>Queues and objects</h2>
      <p class="quiet">
        A shard is a queue and the object that keeps its log. Its dedup window remembers the ids of a week; when it is
        nearly full, the shard is to be split.
      </p>
      <Scroll label="Queues and objects by shard">
        <table class="ledger">
          <thead>
            <tr>
              <th>Shard</th>
              <th class="number">Messages waiting</th>
              <th class="number">Oldest</th>
              <th class="number">Events today</th>
              <th class="number">Events a message</th>
              <th>Memory of ids</th>
              <th>Disk of ids</th>
            </tr>
          </thead>
          <tbody>
            {ledger.shards.map(({ shard, today }, index) => {
              const queue = queues[index];
              return (
                <tr key={shard} class="first">
                  <td>{shard}</td>
                  <td class="number">
                    {queue?.messages == null ? (
                      <span class="warn">no answer</span>
                    ) : (
                      `${formatCount(queue.messages)}${queue.bytes ? `, ${formatBytes(queue.bytes)}` : ""}`
                    )}
                  </td>
                  <td class={`number ${(queue?.oldest_seconds ?? 0) > (queue?.objective_seconds ?? 0) ? "warn" : ""}`}>
                    {queue?.oldest_seconds == null ? "–" : formatDuration(queue.oldest_seconds * 1_000)}
                  </td>
                  <td class="number">{formatCount(today.events)}</td>
                  <td class="number">{today.messages === 0 ? "–" : (today.events / today.messages).toFixed(1)}</td>
                  <Used of={of(index, "dedup_memory")} what="memory" />
                  <Used of={of(index, "dedup_disk")} what="disk" />
                </tr>
              );
            })}
          </tbody>
        </table>
      </Scroll>
    </section>
  );
}

function Used({ of, what }: { of: ObjectPressure | undefined; what: string }) {
  if (!of) return <td>–</td>;
  const share = of.bytes / of.limit_bytes;
  return (
    <td>
      <meter min={0} max={1} high={0.9} value={share} aria-label={`${of.object}: ${what} of its ids`} />{" "}
      {formatShare(share)} <span class="quiet">of {formatBytes(of.limit_bytes)}</span>
    </td>
  );
}
