/** The whole pipeline on a day of its own: the clock of everything stands where a test puts it, so no test depends on the day. */

import { dayRows } from "../../../queues/maintenance/day-rows.ts";
import type { HistoryJob, HistoryJobDeps } from "../../../queues/maintenance/history-jobs.ts";
import { runHistoryJob } from "../../../queues/maintenance/history-jobs.ts";
import type { AnyRow } from "../../../r2-layout/arrow-rows.ts";
import type { DerivedEvent, TableName } from "../../../r2-layout/event-columns.ts";
import { idHash } from "../../../r2-layout/event-id.ts";
import { encodeMessage, packIds } from "../../../r2-layout/event-message.ts";
import { DAY_MS, HOUR_MS } from "../../../r2-layout/limits.ts";
import { formatLogLine } from "../../../r2-layout/log-line.ts";
import { parquet } from "../lake/lake-rows.ts";
import type { Clock } from "../replay/replay-rig.ts";
import { deliver, real, SHARDS, type TestEvent } from "../replay/whole-pipeline.ts";

export const DAY = "2031-03-05";
export const DAY_START = Date.parse(DAY);
export const MIDNIGHT = DAY_START + DAY_MS;

export const lake = () => real.LAKE_CATALOG.getByName("lake");

/** Sets the clock of this isolate, objects included, ahead to a time. */
export function at(clock: Clock, ms: number): void {
  clock.pass(ms - Date.now());
}

let edges = 0;

/** One message; events are of the day's noon unless they say otherwise. */
export async function sendOn(
  shard: number,
  events: readonly TestEvent[],
  header: { edge?: string; n?: number; before?: number } = {},
): Promise<void> {
  const noon = (DAY_START + 12 * HOUR_MS) * 1_000;
  const rows = events.map(
    (event): DerivedEvent => ({
      event_name: "bought",
      event_type: "track",
      source: "shop",
      event_time: noon,
      received_at: Date.now() * 1_000,
      anonymous_id: "phone",
      country: "AT",
      ...event,
    }),
  );
  const body = encodeMessage({
    header: {
      v: 1,
      edge: header.edge ?? `history-edge-${edges++}`,
      n: header.n ?? 1,
      shard,
      epoch: 0,
      source: "shop",
      received_at: Date.now() * 1_000,
      events: rows.length,
      before: header.before ?? 0,
      ids: packIds(rows.map(({ event_id }) => idHash("event", "shop", event_id))),
    },
    lines: rows.map((row) => formatLogLine({ raw: { type: "track" }, row, d: 1 })),
  });
  await deliver(`events-${shard}`, [body]);
}

export const historyDeps = (): HistoryJobDeps => ({
  bucket: real.BUCKET,
  catalog: real.LAKE_CATALOG,
  parquet,
  queue: { send: async () => {} },
  history: { logs: real.EVENT_LOG, rollups: real.MINUTE_ROLLUP, shards: SHARDS, epoch: 0, variables: {} },
});

/** The job as often as it asks to come again, and as often as something waits for a minute. */
export async function runHistory(clock: Clock, kind: HistoryJob["kind"] = "cuts", deps = historyDeps()): Promise<void> {
  for (let round = 0; round < 20; round++) {
    if ((await runHistoryJob({ kind }, deps)) === null) return;
    clock.pass(1_000);
  }
  throw new Error(`${kind} does not come to an end`);
}

/** Ids of the rows that a cut has, as a statement reads them. */
export async function rowsOf(cut: string, table: TableName = "events"): Promise<AnyRow[]> {
  const plan = await lake().plan({ table, cut });
  const rows: AnyRow[] = [];
  for (const file of plan.files) {
    const range = { from: -Number.MAX_SAFE_INTEGER, through: plan.cut!.through ?? Number.MAX_SAFE_INTEGER };
    for await (const some of dayRows({ bucket: real.BUCKET, parquet }, { file: { ...file, table }, ...range })) {
      rows.push(...some);
    }
  }
  return rows;
}

export const idsOf = async (cut: string): Promise<string[]> =>
  (await rowsOf(cut)).map(({ event_id }) => String(event_id)).sort();
