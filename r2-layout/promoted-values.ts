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

const INSTANT = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;

/**
 * RFC 3339: a date and a time with its zone, because one without is anybody's guess, as is the unit of a bare number.
 * Read digit by digit: groups of a pattern and a Date cost five times as much, in the sink's hot loop.
 * @returns microseconds, further digits cut off; null for what is no time, or beyond what a column holds exactly (2255).
 */
function instant(text: string): number | null {
  if (!INSTANT.test(text)) return null;
  const year = digits(text, 0, 4);
  const month = digits(text, 5, 7);
  const day = digits(text, 8, 10);
  const hour = digits(text, 11, 13);
  const minute = digits(text, 14, 16);
  const second = digits(text, 17, 19);
  // 30 February is none, and neither is 24:00 or a leap second. Date.UTC takes a year below 100 for one of ours.
  if (year < 1_000 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return null;
  if (hour > 23 || minute > 59 || second > 59) return null;
  const zone = text.charCodeAt(text.length - 6);
  let offset = 0;
  if (zone === PLUS || zone === MINUS) {
    const hours = digits(text, text.length - 5, text.length - 3);
    const minutes = digits(text, text.length - 2, text.length);
    if (hours > 23 || minutes > 59) return null;
    offset = (zone === PLUS ? 1 : -1) * (60 * hours + minutes);
  }
  let micros = 0;
  if (text.charCodeAt(19) === DOT) {
    for (let at = 20, unit = 100_000; unit >= 1; at++, unit /= 10) {
      const digit = text.charCodeAt(at) - ZERO;
      if (digit < 0 || digit > 9) break;
      micros += digit * unit;
    }
  }
  const us = Date.UTC(year, month - 1, day, hour, minute - offset, second) * MICROS_PER_MS + micros;
  return Number.isSafeInteger(us) ? us : null;
}

const [ZERO, PLUS, MINUS, DOT] = [0x30, 0x2b, 0x2d, 0x2e];

function digits(text: string, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at++) value = 10 * value + text.charCodeAt(at) - ZERO;
  return value;
}

const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function daysIn(year: number, month: number): number {
  const leap = month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return DAYS[month - 1]! + Number(leap);
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
