/** What a distributed engine gives, and how it says no. */
import type { EngineColumn, Json } from "./arrow-rows.ts";

export interface RowSink {
  /** Once, before any row. */
  columns(columns: readonly EngineColumn[]): void;
  rows(rows: readonly (readonly Json[])[]): void;
}

/** The engine did not answer the statement; the message is its own. */
export class EngineRefused extends Error {}
