/** The columns that the page lists and completes: at first those of every lake, then those that this one has. */
import { useEffect, useState } from "preact/hooks";
import { TABLES, type TableName } from "../../../../r2-layout/event-columns.ts";
import { type SchemaJson, schemaJson } from "../../../schema-json.ts";
import { request } from "../../shell/api.ts";

export type Columns = Readonly<Record<TableName, SchemaJson["tables"]["events"]["columns"]>>;

const BASE = columnsOf(schemaJson({ version: 1, snapshot: 0, promoted: [], conflicts: {} }));

function columnsOf({ tables }: SchemaJson): Columns {
  return Object.fromEntries(
    (Object.keys(TABLES) as TableName[]).map((table) => [table, tables[table].columns]),
  ) as unknown as Columns;
}

/** Asked for once: without an answer the page stays useful, and a statement says itself what is wrong with it. */
export function useColumns(): Columns {
  const [columns, setColumns] = useState(BASE);
  useEffect(() => {
    const leaving = new AbortController();
    request<SchemaJson>("/v1/schema", { signal: leaving.signal }).then(
      (answer) => answer.ok && setColumns(columnsOf(answer.value)),
      () => {},
    );
    return () => leaving.abort();
  }, []);
  return columns;
}
