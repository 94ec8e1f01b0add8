/** Messages and segments that could not be handled: why, where they came from, and the way back into the log. */
import { useState } from "preact/hooks";
import { request } from "../shell/api.ts";
import { formatBytes, formatCount, formatWhen } from "../shell/format.ts";
import type { Problem } from "../shell/problem.ts";
import { Failed, Loading } from "../shell/states.tsx";
import { ActionButton } from "./actions.tsx";
import { usePoll } from "./use-poll.ts";

const EVERY_MS = 5_000;
const SHOWN = 20;

interface Entry {
  readonly id: string;
  readonly kind: "message" | "hole";
  readonly cause: string;
  readonly detail: string | null;
  readonly origin: Readonly<Record<string, unknown>>;
  readonly bytes: number | null;
  readonly events: number | null;
  /** ISO 8601. */
  readonly at: string;
  readonly state: "open" | "redriven";
}

interface Answer {
  readonly entries: readonly Entry[];
  readonly next: string | null;
}

export function QuarantineList() {
  const { value, problem, refresh } = usePoll<Answer>(`/v1/quarantine?state=open&limit=${SHOWN}`, EVERY_MS);
  return (
    <section class="card" id="quarantine">
      <h2>Quarantine</h2>
      <p class="quiet">
        Messages that could not be read, and parts of the log that a sink could not apply. Events that broke their
        columns are in the table <code>quarantine</code> of <a href="/sql">SQL</a>.
      </p>
      {value === null ? (
        problem ? (
          <Failed problem={problem} scope="admin" retry={refresh} />
        ) : (
          <Loading what="the quarantine" />
        )
      ) : value.entries.length === 0 ? (
        <p class="none">Nothing is in quarantine.</p>
      ) : (
        <ul class="entries">
          {value.entries.map((entry) => (
            <EntryItem key={entry.id} entry={entry} refresh={refresh} />
          ))}
        </ul>
      )}
      {value?.next && <p class="quiet">The {SHOWN} newest are shown; there are more.</p>}
    </section>
  );
}

function EntryItem({ entry, refresh }: { entry: Entry; refresh: () => void }) {
  const path = `/v1/quarantine/${encodeURIComponent(entry.id)}`;
  const size = entry.events ? `${formatCount(entry.events)} events` : formatBytes(entry.bytes ?? 0);
  return (
    <li>
      <div class="title">
        <h3>
          <code>{entry.cause}</code> {originText(entry)}
        </h3>
        <span class="quiet">
          {size}, {formatWhen(Date.parse(entry.at), Date.now())}
        </span>
      </div>
      {entry.detail && <p class="detail">{entry.detail}</p>}
      <div class="actions">
        <ActionButton label="Drive again" path={`${path}/redrive`} done={refresh} />
        <Inspect path={path} />
      </div>
    </li>
  );
}

function originText({ kind, origin }: Entry): string {
  if (kind === "message") return `in queue ${String(origin.queue)}`;
  return `in ${String(origin.sink)}, shard ${String(origin.shard)}, segment ${String(origin.seq)}`;
}

function Inspect({ path }: { path: string }) {
  const [found, setFound] = useState<{ text: string } | Problem | null>(null);
  const look = async () => {
    const answer = await request<Readonly<Record<string, unknown>>>(path);
    setFound(answer.ok ? { text: JSON.stringify(answer.value, null, 2) } : answer.error);
  };
  return (
    <details onToggle={(event) => event.currentTarget.open && void look()}>
      <summary>Inspect</summary>
      {found === null ? (
        <Loading what="its bytes" />
      ) : "text" in found ? (
        <pre>{found.text}</pre>
      ) : (
        <Failed problem={found} scope="admin" />
      )}
    </details>
  );
}
