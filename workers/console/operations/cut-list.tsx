/** What the lake keeps: the newest cuts, whether they are whole and agree with the rollups, and what has expired. */
import type { Ledger } from "../../../durable-objects/event-log/ledger.ts";
import type { LakeSize } from "../../operations-json.ts";
import { formatBytes, formatCount, formatCounted, formatDuration, formatWhen } from "../shell/format.ts";
import { Failed, Loading } from "../shell/states.tsx";
import { usePoll } from "./use-poll.ts";

const EVERY_MS = 30_000;
const SHOWN = 7;

interface Cut {
  readonly as_of: string;
  readonly state: "complete" | "partial";
  /** ISO 8601. */
  readonly frozen_at: string;
  readonly rows: number | null;
  /** How many things are missing. */
  readonly missing: number;
  readonly agrees_with_rollups: boolean | null;
  readonly phase: string;
}

export function CutList({ stored, lake }: { stored: Ledger["stored"]; lake: LakeSize }) {
  const { value, problem, refresh } = usePoll<{ readonly cuts: readonly Cut[] }>(`/v1/cuts?limit=${SHOWN}`, EVERY_MS);
  return (
    <section class="card" id="history">
      <h2>History</h2>
      <p class="quiet">
        The lake holds {formatCount(stored.rows)} events; {formatCount(stored.expired)} have expired. Each day is frozen
        after its midnight (UTC), for <code>as_of</code> in <a href="/sql">SQL</a>.
      </p>
      <p class="quiet">
        {formatBytes(lake.bytes)} in {formatCounted(lake.files, "file")}, snapshot {formatCount(lake.snapshot)},{" "}
        {formatCounted(lake.commits_today, "commit")} today. Other engines see{" "}
        {lake.iceberg_behind_seconds === 0
          ? "the same"
          : `it as it was ${formatDuration(lake.iceberg_behind_seconds * 1_000)} ago`}
        .
      </p>
      {value === null ? (
        problem ? (
          <Failed problem={problem} scope="sql" retry={refresh} />
        ) : (
          <Loading what="the cuts" />
        )
      ) : value.cuts.length === 0 ? (
        <p class="none">No day has been frozen yet.</p>
      ) : (
        <ul class="entries">
          {value.cuts.map((cut) => (
            <li key={cut.as_of}>
              <code>{cut.as_of}</code> <span class="pill">{cut.state}</span> {sentence(cut)}
              <span class="quiet"> frozen {formatWhen(Date.parse(cut.frozen_at), Date.now())}</span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function sentence({ rows, missing, agrees_with_rollups: agrees, phase }: Cut): string {
  const parts = [rows === null ? null : `${formatCount(rows)} events`];
  if (missing > 0) parts.push(`${missing} missing`);
  if (agrees !== null) parts.push(agrees ? "as the rollups have them" : "not as the rollups have them");
  if (phase !== "done") parts.push(`at work: ${phase}`);
  return parts.filter((part) => part !== null).join(", ");
}
