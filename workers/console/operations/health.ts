/** Whether the pipeline is well: the sentence on top of the page, and what is wrong, with the place that says more. Pure. */
import type { Ledger } from "../../../durable-objects/event-log/ledger.ts";
import { SINKS, type SinkName } from "../../../durable-objects/sink-cursor/api.ts";
import { GAP_OBJECTIVE_S } from "../../objectives.ts";
import type { OperationsJson } from "../../operations-json.ts";
import { formatCount, formatDuration } from "../shell/format.ts";

export const SINK_LABELS: Readonly<Record<SinkName, string>> = {
  lake: "Lake (SQL)",
  sessions: "Timelines",
  rollups: "Rollups (live)",
};

/** Of what an object has: beyond this it is time to split its shard. */
const PRESSING_SHARE = 0.9;

export interface Matter {
  readonly text: string;
  /** The part of the page that explains it. */
  readonly at: "#sinks" | "#ledger" | "#quarantine" | "#pressure" | "#history" | "/erasures";
}

export interface Health {
  readonly state: "well" | "behind" | "wrong";
  readonly sentence: string;
  /** What is the matter, worst first. */
  readonly matters: readonly Matter[];
}

type Looked = Pick<OperationsJson, "ledger" | "sinks" | "queues" | "objects" | "lake"> &
  // Told by a newer edge than the page may be loaded from.
  Partial<Pick<OperationsJson, "erasures">>;

export function healthOf(operations: Looked): Health {
  const wrong = sumsOff(operations.ledger);
  const behind = [
    ...sinksBehind(operations),
    ...messagesMissing(operations.ledger),
    ...pressing(operations),
    ...notErased(operations),
  ];
  const state = wrong.length > 0 ? "wrong" : behind.length > 0 ? "behind" : "well";
  return { state, sentence: SENTENCES[state], matters: [...wrong, ...behind] };
}

const SENTENCES = {
  well: "Every accepted event is accounted for",
  behind: "Nothing is lost, but something needs a look",
  wrong: "The ledger does not add up",
} as const;

function sumsOff({ shards, balanced, stored }: Ledger): Matter[] {
  const off: Matter[] = [];
  for (const sink of SINKS) {
    const of = shards.filter(({ sinks }) => !sinks[sink].balanced).map(({ shard }) => shard);
    if (of.length > 0)
      off.push({ text: `${SINK_LABELS[sink]}: the sum is off in shard ${of.join(", ")}`, at: "#ledger" });
  }
  if (!balanced && off.length === 0) off.push({ text: "The log's own sum is off", at: "#ledger" });
  if (!stored.balanced)
    off.push({ text: "The lake's rows are not those that its cursors have applied", at: "#history" });
  return off;
}

function sinksBehind({ sinks }: Looked): Matter[] {
  return sinks.flatMap(({ sink, holes, lag_seconds, objective_seconds }): Matter[] => [
    ...(holes > 0
      ? [
          {
            text: `${SINK_LABELS[sink]}: ${formatCount(holes)} events could not be applied`,
            at: "#quarantine" as const,
          },
        ]
      : []),
    ...(lag_seconds > objective_seconds
      ? [{ text: `${SINK_LABELS[sink]} is ${formatDuration(lag_seconds * 1_000)} behind`, at: "#sinks" as const }]
      : []),
  ]);
}

function messagesMissing({ shards, total }: Ledger): Matter[] {
  const gapS = Math.max(0, ...shards.map(({ oldest_gap_seconds }) => oldest_gap_seconds));
  if (gapS <= GAP_OBJECTIVE_S) return [];
  const since = formatDuration(gapS * 1_000);
  return [
    {
      text: `${formatCount(total.gaps)} messages were sent and have not arrived, one since ${since}`,
      at: "#ledger",
    },
  ];
}

/** What somebody was promised. */
function notErased({ erasures }: Looked): Matter[] {
  const traces = (erasures?.check?.found ?? []).reduce((sum, found) => sum + found.traces, 0);
  const overdue = erasures?.overdue ?? 0;
  const at = "/erasures" as const;
  return [
    ...(traces > 0 ? [{ text: `${formatCount(traces)} traces of people who were erased have been found`, at }] : []),
    ...(overdue > 0 ? [{ text: `${formatCount(overdue)} requests to be forgotten are overdue`, at }] : []),
  ];
}

function pressing({ queues, objects, lake }: Looked): Matter[] {
  const matters: Matter[] = [];
  const old = queues.filter(({ oldest_seconds, objective_seconds }) => (oldest_seconds ?? 0) > objective_seconds);
  if (old.length > 0) {
    const oldest = Math.max(...old.map(({ oldest_seconds }) => oldest_seconds!));
    matters.push({
      text: `Messages wait on ${old.map(({ queue }) => queue).join(", ")}, one since ${formatDuration(oldest * 1_000)}`,
      at: "#pressure",
    });
  }
  const silent = queues.filter(({ messages }) => messages === null).map(({ queue }) => queue);
  if (silent.length > 0) matters.push({ text: `No word of what waits on ${silent.join(", ")}`, at: "#pressure" });
  for (const { object, what, bytes, limit_bytes } of objects) {
    if (bytes > PRESSING_SHARE * limit_bytes)
      matters.push({ text: `${object} has used ${PRESSURE_LABELS[what]}`, at: "#pressure" });
  }
  if (lake.iceberg_behind_seconds > lake.iceberg_objective_seconds) {
    const behind = formatDuration(lake.iceberg_behind_seconds * 1_000);
    matters.push({ text: `Other engines see the lake as it was ${behind} ago`, at: "#history" });
  }
  return matters;
}

const PRESSURE_LABELS = {
  dedup_memory: "nearly all memory of its dedup window",
  dedup_disk: "nearly all disk of its dedup window",
} as const;

/** Events a second between two ledgers, null where the clock did not move or the counts fell (another system). */
export function ratePerSecond(
  before: Pick<Ledger, "total">,
  after: Pick<Ledger, "total">,
  elapsedMs: number,
): number | null {
  const events = after.total.accepted - before.total.accepted;
  return elapsedMs <= 0 || events < 0 ? null : (events * 1_000) / elapsedMs;
}
