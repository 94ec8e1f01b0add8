/** What others may ask of the lake's schema. */
import type { LakeSchema, NewPromotedColumn, PromotedColumn } from "../../r2-layout/promoted-columns.ts";

export type ColumnAnswer =
  /** `known`: the same request came before, and nothing has changed. */
  | { readonly kind: "added" | "known"; readonly column: PromotedColumn }
  /** A column of this name is another one: it stays as it is. */
  | { readonly kind: "taken"; readonly column: PromotedColumn }
  | { readonly kind: "full"; readonly limit: number };

export interface SchemaStatus extends LakeSchema {
  /** The newest snapshot, or the one that was asked for. */
  readonly snapshot: number;
  /** Cumulative, by column name, as of now: values that came from the log and did not convert. */
  readonly conflicts: Readonly<Record<string, number>>;
}

export interface LakeSchemaApi {
  /** The schema as of a snapshot, the newest when absent. @throws RangeError where the snapshot lies ahead. */
  schema(asOf?: number): Promise<SchemaStatus>;
  /** Adds a column of the events. Once this has answered, every event that an append brings has been through it. Safe to repeat. */
  addColumn(column: NewPromotedColumn): Promise<ColumnAnswer>;
}
