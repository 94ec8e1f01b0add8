/** The daily look for people who were erased before: that it was done, and what it found. */
import type { ErasureCheckJson } from "../../erasure-json.ts";
import { formatCounted, formatWhen } from "../shell/format.ts";

export function CheckCard({ check }: { check: ErasureCheckJson }) {
  const { erasures, stores, found, started_at, ended_at } = check;
  if (erasures === 0 && found.length === 0) return null;
  const silent = stores.filter(({ error }) => error !== null);
  return (
    <section class="card check" aria-label="Looked for again">
      <h2>Looked for again</h2>
      <p class="quiet">
        {formatCounted(erasures, "erasure")} of before, in every store, {ended_at === null ? "since" : "last on"}{" "}
        {formatWhen(Date.parse(ended_at ?? started_at), Date.now())}
        {ended_at === null && ": it goes on"}
      </p>
      {found.length === 0 && silent.length === 0 && ended_at !== null && <p class="good">✓ Nothing was found.</p>}
      {found.map((one) => (
        <p key={`${one.erasure} ${one.store}`} class="warn" role="alert">
          ⚠ {formatCounted(one.traces, "trace")} in {one.store}: <a href={`#${one.erasure}`}>the request</a>
        </p>
      ))}
      {silent.map(({ store, error }) => (
        <p key={store} class="warn">
          {store} could not look: {error}
        </p>
      ))}
    </section>
  );
}
