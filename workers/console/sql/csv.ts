/** RFC 4180, with the header line; lines end in CRLF, null is an empty field. */
import type { Cell, QueryResult } from "./statement.ts";

export function toCsv({ columns, rows }: Pick<QueryResult, "columns" | "rows">): string {
  const lines = [columns.map((column) => column.name), ...rows];
  return lines.map((line) => `${line.map(csvField).join(",")}\r\n`).join("");
}

function csvField(value: Cell): string {
  const text = cellText(value);
  return /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
}

export function cellText(value: Cell): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
