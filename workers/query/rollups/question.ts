/** What a statement asks for that rollups count: events in a range of time, by one dimension, by a length of time. */
import type { Dimension } from "../../../durable-objects/minute-rollup/api.ts";
import type { Bucket } from "../../../durable-objects/minute-rollup/bucket.ts";

/** A value of the dimension; null for events without one. */
export type KeyValue = string | null;

/** Which values pass: those named, or all but those named. */
export interface KeyFilter {
  readonly dimension: Dimension;
  readonly values: readonly KeyValue[];
  readonly negated: boolean;
}

/** What a column of the result, a group or an order is made of. */
export type Item =
  /** Events of the group, or those of them that pass the filters. */
  | { readonly kind: "count"; readonly filters: readonly KeyFilter[] }
  | { readonly kind: "key"; readonly dimension: Dimension }
  /** The start of the length of time, as a TIMESTAMP or as a DATE. */
  | { readonly kind: "time"; readonly bucket: Bucket; readonly isDate: boolean };

export interface ResultItem {
  readonly name: string;
  readonly item: Item;
}

export interface Order {
  readonly item: Item;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

/** What a count is to be, for its group to be shown. */
export interface CountBound {
  readonly item: Item;
  readonly operator: "Eq" | "NotEq" | "Lt" | "LtEq" | "Gt" | "GtEq";
  readonly value: number;
}

export interface RollupQuestion {
  /** Milliseconds, half open, on starts of a minute; null: without end. */
  readonly from: number | null;
  readonly to: number | null;
  /** The one dimension that it speaks of, if any. */
  readonly dimension: Dimension | null;
  /** Of WHERE: all of them hold. */
  readonly filters: readonly KeyFilter[];
  readonly columns: readonly ResultItem[];
  /** Null: all events are one group, also where there are none. */
  readonly groups: readonly Item[] | null;
  /** All of them hold. */
  readonly having: readonly CountBound[];
  readonly order: readonly Order[];
  readonly limit: number | null;
  readonly offset: number;
  /** Names that it gives to columns, which are to be no column's of the table: DuckDB would take the column. */
  readonly aliases: readonly string[];
}

export const bucketOf = ({ columns, groups }: Pick<RollupQuestion, "columns" | "groups">): Bucket | null =>
  [...(groups ?? []), ...columns.map(({ item }) => item)].find((item) => item.kind === "time")?.bucket ?? null;

export const sameItem = (one: Item, other: Item): boolean => JSON.stringify(one) === JSON.stringify(other);

export const passes = (filters: readonly KeyFilter[], value: KeyValue): boolean =>
  filters.every(({ values, negated }) => values.includes(value) !== negated);
