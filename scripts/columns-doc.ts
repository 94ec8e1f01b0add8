/**
 * `npm run docs:columns`: writes the column tables of r2-layout/README.md from event-columns.ts; `--check` only compares.
 * `--running` prints those of the running local system instead, with what was promoted there.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { BASE_SCHEMA } from "../r2-layout/promoted-columns.ts";
import { type ColumnJson, type SchemaJson, schemaJson } from "../workers/schema-json.ts";
import { LOCAL_TOKEN } from "./local/credentials.ts";
import { systemUrl } from "./local/running-system.ts";

const path = new URL("../r2-layout/README.md", import.meta.url).pathname;

if (process.argv.includes("--running")) console.log(tablesOf(await runningSchema()));
else {
  const text = readFileSync(path, "utf8");
  const tables = tablesOf(schemaJson({ ...BASE_SCHEMA, snapshot: 0, conflicts: {} }));
  const next = text.replace(
    /(<!-- columns:begin -->)[\s\S]*(<!-- columns:end -->)/,
    (_, begin, end) => `${begin}\n${tables}\n${end}`,
  );
  if (!process.argv.includes("--check")) writeFileSync(path, next);
  else if (next !== text) {
    console.error("r2-layout/README.md is behind event-columns.ts: run npm run docs:columns");
    process.exit(1);
  }
}

/** @throws Error where the system does not answer. */
async function runningSchema(): Promise<SchemaJson> {
  const response = await fetch(`${systemUrl()}/v1/schema`, { headers: { authorization: `Bearer ${LOCAL_TOKEN}` } });
  if (!response.ok) throw new Error(`/v1/schema answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as SchemaJson;
}

function tablesOf({ tables }: SchemaJson): string {
  return Object.entries(tables)
    .map(([name, { columns }]) => tableOf(name, columns))
    .join("\n");
}

function tableOf(name: string, columns: readonly ColumnJson[]): string {
  const rows = columns.map(
    (column) =>
      `| ${column.field_id} | \`${column.name}\` | ${column.type}${column.nullable ? "" : " NOT NULL"} | ${docOf(column)} |`,
  );
  return [`### ${name}\n`, "| id | column | SQL type | |", "|---|---|---|---|", ...rows, ""].join("\n");
}

function docOf({ doc, property, since }: ColumnJson): string {
  const origin = since ? `From property \`${property}\`, since snapshot ${since.snapshot}.` : "";
  // Base docs are ours and have no bars.
  return [since ? doc.replaceAll("|", "\\|") : doc, origin].filter((part) => part !== "").join(" ");
}
