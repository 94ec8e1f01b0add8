/** What a reader of the lake sees: the rows of the files that a snapshot names, from R2, with the columns that it has. */
import parquet from "parquet-wasm/esm/parquet_wasm_bg.wasm";
import type { LakeCatalogApi } from "../../../durable-objects/lake-catalog/api.ts";
import type { AnyRow } from "../../../r2-layout/arrow-rows.ts";
import type { TableName } from "../../../r2-layout/event-columns.ts";
import { decodeParquet } from "../../../r2-layout/parquet-reader.ts";
import { tableColumns } from "../../../r2-layout/promoted-columns.ts";

export { parquet };

export async function lakeRows(
  bucket: R2Bucket,
  catalog: Pick<LakeCatalogApi, "plan">,
  table: TableName,
  asOf?: number,
): Promise<AnyRow[]> {
  const rows: AnyRow[] = [];
  const { files, promoted = [] } = await catalog.plan({ table, ...(asOf !== undefined && { asOf }) });
  for (const file of files) {
    const object = await bucket.get(file.key);
    if (!object) throw new Error(`${file.key} is named and missing`);
    const bytes = new Uint8Array(await object.arrayBuffer());
    const decoded = decodeParquet(parquet, table, bytes, undefined, undefined, tableColumns(table, promoted));
    if (decoded.length !== file.rows) throw new Error(`${file.key} has ${decoded.length} rows, not ${file.rows}`);
    for (let i = 0; i < decoded.length; i++) rows.push(decoded.row(i));
  }
  return rows;
}
