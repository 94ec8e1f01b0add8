/** Whether the pipeline is well, from its ledger: the sentence on top of the page, and what is wrong. Pure. */
import type { Ledger } from "../../../durable-objects/event-log/ledger.ts";
import { SINKS, type SinkName } from "../../../durable-objects/sink-cursor/api.ts";
import { formatCount, formatDuration } from "../shell/format.ts";

export const SINK_LABELS: Readonly<Record<SinkName, string>> = {
  lake: "Lake (SQL)",
  sessions: "Timelines",
  rollups: "Rollups (live)",
};

/** Seconds that a sink may stay behind before somebody should look: well above what its flushes take. */
export const LAG_OBJECTIVE_S: Readonly<Record<SinkName, number>> = { lake: 60, sessions: 30, rollups: 15 };

/** Messages overtake each other on a queue; one that is still away after this is worth a look. */
const GAP_OBJECTIVE_S = 120;

export interface Health {
  readonly state: "well" | "behind" | "wrong";
  readonly sentence: string;
  /** What is the matter, worst first. */
  readonly matters: readonly string[];
}

export function healthOf(ledger: Ledger): Health {
  const wrong: string[] = [];
  const behind: string[] = [];
  for (const sink of SINKS) {
    const off = ledger.shards.filter(({ sinks }) => !sinks[sink].balanced).map(({ shard }) => shard);
    if (off.length > 0) wrong.push(`${SINK_LABELS[sink]}: the sum is off in shard ${off.join(", ")}`);
    const holes = ledger.shards.reduce((sum, { sinks }) => sum + sinks[sink].holes, 0);
    if (holes > 0)
      behind.push(`${SINK_LABELS[sink]}: ${formatCount(holes)} events could not be applied, see Quarantine`);
    const lag = Math.max(0, ...ledger.shards.map(({ sinks }) => sinks[sink].lag_seconds));
    if (lag > LAG_OBJECTIVE_S[sink]) behind.push(`${SINK_LABELS[sink]} is ${formatDuration(lag * 1_000)} behind`);
  }
  if (!ledger.balanced && wrong.length === 0) wrong.push("The log's own sum is off");
  const { gaps } = ledger.total;
  const gapS = Math.max(0, ...ledger.shards.map(({ oldest_gap_seconds }) => oldest_gap_seconds));
  if (gapS > GAP_OBJECTIVE_S) {
    behind.push(
      `${formatCount(gaps)} messages were sent and have not arrived, one since ${formatDuration(gapS * 1_000)}`,
    );
  }
  const state = wrong.length > 0 ? "wrong" : behind.length > 0 ? "behind" : "well";
  return { state, sentence: SENTENCES[state], matters: [...wrong, ...behind] };
}

const SENTENCES = {
  well: "Every accepted event is accounted for",
  behind: "Nothing is lost, but something needs a look",
  wrong: "The ledger does not add up",
} as const;

/** Events a second between two ledgers, null where the clock did not move or the counts fell (another system). */
export function ratePerSecond(before: Ledger, after: Ledger, elapsedMs: number): number | null {
  const events = after.total.accepted - before.total.accepted;
  return elapsedMs <= 0 || events < 0 ? null : (events * 1_000) / elapsedMs;
}
