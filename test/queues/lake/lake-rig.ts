/** A log in memory, and the lake that its sink makes of it, for tests of what changes the lake beside the sink. */
import { env } from "cloudflare:workers";
import type { LakeCatalog } from "../../../durable-objects/lake-catalog/lake-catalog.ts";
import { createLakeSink } from "../../../queues/lake/sink.ts";
import type { EventRow, QuarantineRow } from "../../../r2-layout/event-columns.ts";
import type { RuleAt } from "../../../r2-layout/rule.ts";
import { rulesReader } from "../../../r2-layout/rule.ts";
import { DAY_US } from "../../../r2-layout/time.ts";
import type { Fault } from "../log-rig.ts";
import { lakeRows, parquet } from "./lake-rows.ts";

export { parquet };

export const { BUCKET: bucket, LAKE_CATALOG: catalogs } = env as unknown as {
  BUCKET: R2Bucket;
  LAKE_CATALOG: DurableObjectNamespace<LakeCatalog>;
};
export const lake = () => catalogs.getByName("lake");

export const NOW_US = Date.now() * 1_000;

export interface LogSegment {
  readonly events: readonly EventRow[];
  readonly quarantine: readonly QuarantineRow[];
}

/** Segment seq of a shard: `size` events, every fifth of them quarantined, of the last six days. */
export function segment(shard: number, seq: number, size: number): LogSegment {
  const events: EventRow[] = [];
  const quarantine: QuarantineRow[] = [];
  for (let i = 0; i < size; i++) {
    const id = `${shard}.${seq}.${i}`;
    const at = { source: "shop", received_at: NOW_US + seq, log_shard: shard, log_seq: seq };
    if (i % 5 === 4) quarantine.push({ ...at, event_id: id, cause: "column_mismatch", raw: "{}" });
    else {
      events.push({
        ...at,
        event_id: id,
        event_name: i % 2 === 0 ? "page" : "Added 😀",
        event_type: "track",
        anonymous_id: `device-${(seq + i) % 3}`,
        user_id: i % 3 === 0 ? `user-${i}` : null,
        app_version: seq % 2 === 0 ? "2.0" : "1.9",
        event_time: NOW_US - ((seq + i) % 6) * DAY_US - i,
        properties: i % 4 === 0 ? null : { step: String(i), city: "München" },
      });
    }
  }
  return { events, quarantine };
}

/** Sends segments after the cursor through the lake's sink, in one step. */
export async function flush(shard: number, log: readonly LogSegment[], to: number, rules: readonly RuleAt[] = []) {
  const sink = createLakeSink({ bucket, catalog: catalogs, parquet });
  const { token, cursor } = (await sink.lease(shard, "flush"))!;
  if (to <= cursor) return;
  const part = log.slice(cursor, to);
  const read = rulesReader(rules);
  const all = part.flatMap(({ events }) => events);
  const quarantine = part.flatMap((segment) => segment.quarantine);
  await sink.apply({
    shard,
    token,
    from: cursor,
    to,
    completeUntil: 0,
    events: all.map(read).filter((row) => row !== null),
    quarantine,
    applied: { events: all.length, quarantined: quarantine.length },
    rules: Math.max(0, ...rules.map(({ version }) => version)),
  });
}

/** What the events of a lake say, whatever their order, files and absent columns. */
export function said(rows: readonly object[]): string[] {
  return rows
    .map((row) => {
      const present = Object.entries(row).filter(([, value]) => value !== null && value !== undefined);
      return JSON.stringify(present.sort(([a], [b]) => (a < b ? -1 : 1)));
    })
    .sort();
}

export const seen = async (asOf?: number) => said(await lakeRows(bucket, lake(), "events", asOf));
export const seenQuarantine = async () => said(await lakeRows(bucket, lake(), "quarantine"));

/** The same calls, each of which counts for the fault. Works over stubs, whose methods are no properties. */
export function faulty<T extends object>(target: T, fault: Fault): T {
  return new Proxy({} as T, {
    get:
      (_, name) =>
      (...args: unknown[]) =>
        fault.around(() =>
          (target as Record<string | symbol, (...args: unknown[]) => Promise<unknown>>)[name]!(...args),
        ),
  });
}
