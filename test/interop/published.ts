/** What the running system has published, as its REST catalog tells it, and what its own SQL says of the same. */
import { PUBLISH_NOW_CRON } from "../../queues/maintenance/messages.ts";
import { control } from "../../scripts/local/running-system.ts";
import type { RunningSystem, SqlAnswer } from "../system/harness.ts";
import { until } from "../system/harness.ts";
import type { Question, Rows } from "./engine.ts";

const PUBLISH_WAIT_MS = 30_000;

export interface PublishedSnapshot {
  /** Iceberg's. */
  readonly id: number;
  readonly operation: string;
  /** The lake's, with the same rows. */
  readonly lakeSnapshot: number;
}

export interface TableJson {
  readonly metadata: {
    readonly "current-snapshot-id"?: number;
    readonly schemas: readonly {
      readonly "schema-id": number;
      readonly fields: readonly { readonly name: string }[];
    }[];
    readonly "current-schema-id": number;
    readonly refs: Readonly<Record<string, { readonly "snapshot-id": number; readonly type: string }>>;
    readonly snapshots: readonly {
      readonly "snapshot-id": number;
      readonly summary: Readonly<Record<string, string>>;
    }[];
  };
}

export const loadTable = (system: RunningSystem, table: string): Promise<TableJson> =>
  system.read(`/iceberg/v1/namespaces/eventpile/tables/${table}`);

/** Publishes at once and waits until the tables show the lake as it is. @returns the newest snapshot of events. */
export async function publish(system: RunningSystem): Promise<PublishedSnapshot> {
  const count = async () => Number((await system.sql("SELECT count(*) FROM events")).rows[0]![0]);
  const rows = await count();
  await control("POST", `/local/cron?name=${PUBLISH_NOW_CRON}`, undefined, system.url);
  let newest: PublishedSnapshot | null = null;
  await until("the tables are published", PUBLISH_WAIT_MS, async () => {
    const queues = await system.queues();
    const { ready, delayed, underWay } = queues.find(({ queue }) => queue === "maintenance")!;
    if (ready + delayed + underWay > 0) return false;
    const { metadata } = await loadTable(system, "events");
    const current = metadata.snapshots.find((of) => of["snapshot-id"] === metadata["current-snapshot-id"]);
    if (!current) return false;
    const { operation = "", "total-records": total, "eventpile.snapshot": lake } = current.summary;
    newest = { id: current["snapshot-id"], operation, lakeSnapshot: Number(lake) };
    return Number(total) === rows;
  });
  return newest!;
}

/** The same question to our own SQL. @param asOf the lake's snapshot. */
export async function ownAnswer(system: RunningSystem, question: Question, asOf?: number | string): Promise<Rows> {
  const { table, where, group } = question;
  const columns = group ? "event_name, count(*), coalesce(sum(revenue), 0)" : "count(*)";
  const sql = `SELECT ${columns} FROM ${table}${where ? ` WHERE ${where}` : ""}${group ? " GROUP BY event_name ORDER BY event_name" : ""}`;
  const { rows } = await system.read<SqlAnswer>("/v1/sql", {
    sql,
    route: "engine",
    ...(asOf !== undefined && { as_of: asOf }),
  });
  return rows;
}

/** Numbers of other types and of other sums' orders are the same number. */
export const comparable = (rows: Rows): string =>
  JSON.stringify(
    rows.map((row) =>
      row.map((value, at) =>
        at === 0 && typeof value === "string" && Number.isNaN(Number(value)) ? value : Number(Number(value).toFixed(4)),
      ),
    ),
  );
