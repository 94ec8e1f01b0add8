/**
 * Values of promoted columns, from the texts of the property map. Strict, because a column is of one type for good: what
 * does not convert exactly is no error and no guess, the column stays null, the property stays where it is, and the
 * event counts as a conflict of the column.
 *
 * Whoever writes rows that come from the log derives: the sink, a rebuild. A file that is made of files (a compaction)
 * keeps what its rows have, so that a row from before the column reads as null for good; a correction derives anew what
 * its rule changed.
 */
import type { AnyRow } from "./arrow-rows.ts";
import { SCHEMA } from "./limits.ts";
import type { PromotedColumn, PromotedType } from "./promoted-columns.ts";
import { MICROS_PER_MS } from "./time.ts";
import { isLongerThan } from "./utf8.ts";

export type PromotedValue = string | number | boolean;

/** Null for a text that is no value of the type. */
export function promotedValue(type: PromotedType, text: string): PromotedValue | null {
  return READERS[type](text);
}

const READERS: Record<PromotedType, (text: string) => PromotedValue | null> = {
  string: (text) => (isLongerThan(text, SCHEMA.textBytes) ? null : text),
  // As JSON writes a whole number: no sign +, no leading zeros, no fraction. Exact in a double, as every int64 here.
  long(text) {
    if (!/^-?(0|[1-9]\d{0,15})$/.test(text)) return null;
    const value = Number(text);
    return Number.isSafeInteger(value) ? value + 0 : null;
  },
  double(text) {
    if (text.length > NUMBER_CHARS || !/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text)) return null;
    const value = Number(text);
    return Number.isFinite(value) ? value : null;
  },
  boolean: (text) => (text === "true" ? true : text === "false" ? false : null),
  timestamp: instant,
};

/** Longer is nothing that a double was written as. */
const NUMBER_CHARS = 100;

const INSTANT = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/**
 * RFC 3339: a date and a time with its zone, because one without is anybody's guess, as is the unit of a bare number.
 * @returns microseconds, further digits cut off; null for what is no time, or one beyond 2255.
 */
function instant(text: string): number | null {
  const match = INSTANT.exec(text);
  if (!match) return null;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  // 30 February is none, and neither is 24:00 or a leap second.
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day || hour > 23 || minute > 59 || second > 59) {
    return null;
  }
  const [offsetHours, offsetMinutes] = [Number(match[9] ?? 0), Number(match[10] ?? 0)];
  if (offsetHours > 23 || offsetMinutes > 59) return null;
  const offset = (match[8] === "-" ? -1 : 1) * (offsetHours * 60 + offsetMinutes);
  const ms = date.setUTCHours(hour, minute - offset, second);
  const us = ms * MICROS_PER_MS + Number((match[7] ?? "").slice(0, 6).padEnd(6, "0"));
  return Number.isSafeInteger(us) ? us : null;
}

/** Conflicts by column name: values that did not convert. Columns without one are absent. */
export type ColumnConflicts = Readonly<Record<string, number>>;

/** Gives rows their promoted columns, and counts what does not convert. */
export class Promotion {
  readonly #promoted: readonly PromotedColumn[];
  readonly #conflicts = new Map<string, number>();

  constructor(promoted: readonly PromotedColumn[]) {
    this.#promoted = promoted;
  }

  get conflicts(): ColumnConflicts {
    return Object.fromEntries(this.#conflicts);
  }

  /** The row as it is written: itself, where it has none of the properties. */
  whole(row: AnyRow): AnyRow {
    const properties = propertiesOf(row);
    if (!properties) return row;
    let more: Record<string, PromotedValue> | null = null;
    for (const { name, type, property } of this.#promoted) {
      if (!Object.hasOwn(properties, property)) continue;
      const value = promotedValue(type, properties[property]!);
      if (value === null) this.#conflicts.set(name, (this.#conflicts.get(name) ?? 0) + 1);
      else {
        more ??= {};
        more[name] = value;
      }
    }
    return more ? { ...row, ...more } : row;
  }
}

/** A row that a rule has changed, with the columns that follow a property of it derived anew; the others stay. */
export function promotedAnew(promoted: readonly PromotedColumn[], before: AnyRow, after: AnyRow): AnyRow {
  const was = propertiesOf(before);
  const is = propertiesOf(after);
  const more: Record<string, PromotedValue | null> = {};
  for (const { name, type, property } of promoted) {
    const text = textOf(is, property);
    if (text !== textOf(was, property)) more[name] = text === undefined ? null : promotedValue(type, text);
  }
  return { ...after, ...more };
}

type Properties = Readonly<Record<string, string>>;

const propertiesOf = (row: AnyRow) => row.properties as Properties | null | undefined;

const textOf = (properties: Properties | null | undefined, name: string): string | undefined =>
  properties && Object.hasOwn(properties, name) ? properties[name] : undefined;
