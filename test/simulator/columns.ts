/**
 * Columns promoted while a run goes on, beside all that its seed draws (`--columns`), and what the lake's rows must then
 * have in them: nothing but what their properties say, and that for certain where the event was committed once the
 * column's answer had come. Drawn from a chance of their own, so that a seed without them stays the run that it is.
 */
import type { LakeCatalogApi } from "../../durable-objects/lake-catalog/api.ts";
import { LAKE_CATALOG_NAME } from "../../durable-objects/lake-catalog/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { AnyRow } from "../../r2-layout/arrow-rows.ts";
import type { NewPromotedColumn, PromotedColumn } from "../../r2-layout/promoted-columns.ts";
import { promotedValue } from "../../r2-layout/promoted-values.ts";
import { Random } from "../../scripts/demo/random.ts";
import type { Fail } from "./audit.ts";
import { Process } from "./platform/scheduler.ts";
import type { World } from "./world.ts";

const SECOND_MS = 1_000;

/** One whose values convert, one whose do not, one whose property only rules give. */
const COLUMNS: readonly NewPromotedColumn[] = [
  { name: "running_number", type: "long", property: "number", doc: "" },
  { name: "no_time", type: "timestamp", property: "number", doc: "" },
  { name: "fixed", type: "string", property: "fixed", doc: "" },
];

/** By name: how far the lake had come in each shard once the column's answer was there. */
export type AddedColumns = Map<string, Readonly<Record<number, number>>>;

export function planColumns(world: World, seed: number): AddedColumns {
  const random = new Random(seed ^ 0xc01);
  const added: AddedColumns = new Map();
  for (const column of COLUMNS) {
    world.pending++;
    const begin = (inMs: number): void => {
      const process = new Process(`who adds ${column.name}`);
      let over = false;
      const again = () => {
        if (!over) begin(random.next() * 20 * SECOND_MS);
        over = true;
      };
      process.onDeath.push(again);
      world.scheduler.after(inMs, process, process.name, () => {
        add(world, process, column).then((reached) => {
          if (over) return;
          over = true;
          world.pending--;
          added.set(column.name, reached);
        }, again);
      });
    };
    begin(random.next() * random.pick([5, 30, 300]) * SECOND_MS);
  }
  return added;
}

async function add(world: World, process: Process, column: NewPromotedColumn) {
  const { LAKE_CATALOG: catalogs } = world.bindings("edge", process) as {
    LAKE_CATALOG: ObjectNamespace<Pick<LakeCatalogApi, "addColumn" | "status">>;
  };
  const catalog = catalogs.getByName(LAKE_CATALOG_NAME);
  const { kind } = await catalog.addColumn(column);
  if (kind !== "added" && kind !== "known") world.complaints.push(`column ${column.name}: ${kind}`);
  const { cursors } = await catalog.status();
  return Object.fromEntries(Object.entries(cursors).map(([shard, { cursor }]) => [Number(shard), cursor]));
}

/** @returns the row without them, as the log has it. */
export function withoutColumns(
  row: AnyRow,
  promoted: readonly PromotedColumn[],
  added: AddedColumns,
  fail: Fail,
): AnyRow {
  const rest: Record<string, unknown> = { ...row };
  const texts = (row.properties ?? {}) as Readonly<Record<string, string>>;
  for (const { name, type, property } of promoted) {
    const value = row[name] ?? null;
    const said = texts[property] === undefined ? null : promotedValue(type, texts[property]);
    const reached = added.get(name)?.[row.log_shard as number] ?? 0;
    const isSure = added.has(name) && (row.log_seq as number) > reached;
    if (value !== said && (isSure || value !== null)) {
      fail(`lake: ${row.event_id} of ${row.log_shard}/${row.log_seq} has ${name} ${value}, not ${said}`);
    }
    delete rest[name];
  }
  return rest;
}
