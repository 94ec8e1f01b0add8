/** How far each store is: what it has taken out, what its last look found, and why it is not done yet. */
import type { ErasureStoreJson } from "../../erasure-json.ts";
import { formatClock, formatCount, formatCounted } from "../shell/format.ts";
import { Scroll } from "../shell/scroll.tsx";

const NAMES: Readonly<Record<string, string>> = {
  lake: "Lake",
  quarantine: "Quarantine",
  log: "Log",
  timelines: "Timelines",
  emails: "Index of addresses",
  rollups: "Rollups",
  keys: "Their own keys",
  records: "Records of jobs",
  iceberg: "Iceberg snapshots",
  orphans: "Objects without a name",
};

const STATES: Readonly<Record<ErasureStoreJson["state"], string>> = {
  waiting: "waits its turn",
  erasing: "erases",
  verifying: "looks again",
  confirmed: "✓ confirmed",
};

export function StoreTable({ stores }: { stores: readonly ErasureStoreJson[] }) {
  const confirmed = stores.filter(({ state }) => state === "confirmed").length;
  return (
    <section class="card stores">
      <h2>
        {confirmed} of {formatCounted(stores.length, "store")} {confirmed === 1 ? "has" : "have"} confirmed
      </h2>
      <progress value={confirmed} max={stores.length} aria-label="Stores that have confirmed" />
      <Scroll label="Stores">
        <table>
          <thead>
            <tr>
              <th scope="col">Store</th>
              <th scope="col">State</th>
              <th scope="col" class="number">
                Removed
              </th>
              <th scope="col" class="number">
                Replaced
              </th>
              <th scope="col" class="number">
                Left
              </th>
            </tr>
          </thead>
          <tbody>
            {stores.map((store) => (
              <tr key={store.store} title={store.statement ?? undefined}>
                <th scope="row">{NAMES[store.store] ?? store.store}</th>
                <td class={store.state === "confirmed" ? "state-cell good" : "state-cell"}>
                  {STATES[store.state]}
                  {store.error !== null && <div class="warn">{failureText(store)}</div>}
                </td>
                <td class="number">
                  {formatCount(store.removed)} {store.removed > 0 && store.unit}
                </td>
                <td class="number">{formatCount(store.replaced)}</td>
                <td class="number">{store.traces ?? "–"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </section>
  );
}

function failureText({ error, attempts, retry_at }: ErasureStoreJson): string {
  const again = retry_at === null ? "" : `, again at ${formatClock(Date.parse(retry_at))}`;
  return `${error} (${formatCounted(attempts, "attempt")}${again})`;
}
