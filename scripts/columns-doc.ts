/** `npm run docs:columns`: writes the column tables of r2-layout/README.md from event-columns.ts; `--check` only compares. */
import { readFileSync, writeFileSync } from "node:fs";
import { type Column, TABLES } from "../r2-layout/event-columns.ts";
import { SQL_TYPES } from "../r2-layout/sql-types.ts";

const path = new URL("../r2-layout/README.md", import.meta.url).pathname;
const text = readFileSync(path, "utf8");
const tables = Object.entries(TABLES).map(([name, columns]) => tableOf(name, columns));
const next = text.replace(
  /(<!-- columns:begin -->)[\s\S]*(<!-- columns:end -->)/,
  (_, begin, end) => `${begin}\n${tables.join("\n")}\n${end}`,
);
if (process.argv.includes("--check")) {
  if (next !== text) {
    console.error("r2-layout/README.md is behind event-columns.ts: run npm run docs:columns");
    process.exit(1);
  }
} else {
  writeFileSync(path, next);
}

function tableOf(name: string, columns: Readonly<Record<string, Column>>): string {
  const rows = Object.entries(columns).map(
    ([column, { id, type, required, doc }]) =>
      `| ${id} | \`${column}\` | ${SQL_TYPES[type]}${required ? " NOT NULL" : ""} | ${doc} |`,
  );
  return [`### ${name}\n`, "| id | column | SQL type | |", "|---|---|---|---|", ...rows, ""].join("\n");
}
