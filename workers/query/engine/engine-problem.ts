/** DuckDB's errors in words for the client: without names of files, without advice about the engine. */
import { MiB, SQL } from "../../../r2-layout/limits.ts";
import { StatementFailed } from "../problem.ts";
import { type DuckDbInstance, SqlError } from "./duckdb-instance.ts";
import { FileRefused } from "./virtual-files.ts";

export function engineProblem(error: unknown, instance: DuckDbInstance): unknown {
  if (error instanceof FileRefused) {
    return new StatementFailed({ reason: "table_not_allowed", detail: "the tables are events and quarantine" });
  }
  // A trap, or no stack left. Mostly memory that was not there, where DuckDB does not look whether it was.
  if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) {
    console.error("DuckDB broke", error);
    instance.broken = true;
    const detail = "it broke the engine, which was replaced; ask for less, or in another way";
    return new StatementFailed({ reason: "engine_broken", detail });
  }
  if (!(error instanceof SqlError)) return error;
  const { message } = error;
  // After these DuckDB answers nothing else until it is opened anew.
  if (/^(FATAL|INTERNAL) Error|database has been invalidated/i.test(message)) instance.broken = true;
  // zstd reports a failed allocation as a failure of its own.
  if (/^Out of Memory|bad_alloc|Allocation failure|ZSTD Decompression failure/i.test(withoutKind(message))) {
    instance.broken = true;
    const detail = `a statement has ${SQL.queryBytes / MiB} MiB of memory here, and this one needs more: narrow the time range, group by fewer values, count with approx_count_distinct, or sort less`;
    return new StatementFailed({ reason: "memory_exceeded", detail });
  }
  return new StatementFailed({ reason: "sql_error", detail: cleaned(message) });
}

const withoutKind = (message: string): string => message.replace(/^Invalid( Input)? Error: /, "");

/** @returns the message without keys of data files and without hints that mean nothing here. */
export function cleaned(message: string): string {
  return (
    message
      // Of our own functions' errors.
      .replace(/^Invalid Error: /, "")
      // A function may be a macro over one that only macros may call.
      .replaceAll(/\bep_(\w+)/g, "$1")
      .replace(
        /^Serialization Error: Cannot copy or serialize bound expression.*$/s,
        "-> is not supported: write json_extract(source, path), or ->>",
      )
      .replaceAll(/["']?lake\/[\w/=.-]+\.parquet["']?/g, "a data file")
      .replace(
        /\n+(Please try installing|Alternatively, consider|Launch the database|Database is launched)[\s\S]*$/,
        "",
      )
      .replace(/\n+\tCandidate functions:[\s\S]*?(?=\nLINE |$)/, "")
      .trim()
  );
}
