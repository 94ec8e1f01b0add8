/** Results as files. CSV is made of the rows that are here, where they are all; else the server runs the statement for it. */
import { err, ok, type Result } from "../../../../r2-layout/result.ts";
import { requestBlob } from "../../shell/api.ts";
import type { Problem } from "../../shell/problem.ts";
import { toCsv } from "../csv.ts";
import type { QueryResult, Question } from "../statement.ts";

export const SERVER_FORMATS = {
  csv: { label: "CSV", extension: "csv" },
  parquet: { label: "Parquet", extension: "parquet" },
  arrow: { label: "Arrow", extension: "arrows" },
  ndjson: { label: "NDJSON", extension: "ndjson" },
} as const;
export type ServerFormat = keyof typeof SERVER_FORMATS;

export function saveCsv(result: QueryResult): void {
  save(new Blob([toCsv(result)], { type: "text/csv;charset=utf-8" }), "csv");
}

/** @returns the file's bytes. */
export async function saveFromServer(question: Question, format: ServerFormat): Promise<Result<number, Problem>> {
  const body = JSON.stringify({ ...question, format });
  const headers = { "Content-Type": "application/json" };
  const answer = await requestBlob("/v1/sql", { method: "POST", body, headers });
  if (!answer.ok) return err(answer.error);
  save(answer.value, SERVER_FORMATS[format].extension);
  return ok(answer.value.size);
}

function save(file: Blob, extension: string): void {
  const url = URL.createObjectURL(file);
  const link = document.createElement("a");
  link.href = url;
  link.download = `eventpile-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.${extension}`;
  link.click();
  // Not at once: the browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
