/** Counts of all shards -> the rows that the statement asked for. Pure. */
import { type Dimension, NO_VALUE } from "../../../durable-objects/minute-rollup/api.ts";
import type { TallyCount } from "../../../durable-objects/minute-rollup/tally-api.ts";
import { EVENT_COLUMNS } from "../../../r2-layout/event-columns.ts";
import { isoMicros, MICROS_PER_MS } from "../../../r2-layout/time.ts";
import type { EngineColumn, Json } from "../distributed/arrow-rows.ts";
import {
  type CountBound,
  type Item,
  type KeyFilter,
  type KeyValue,
  type Order,
  passes,
  type RollupQuestion,
} from "./question.ts";

interface Group {
  readonly start: number | null;
  readonly key: KeyValue;
  /** Events by value: counts of some values only are told from the same group. */
  readonly events: Map<KeyValue, number>;
}

/** Each row in the order of the columns, as `resultColumns` types them. */
export function resultRows(question: RollupQuestion, counts: Iterable<TallyCount>): Json[][] {
  const { groups, having, order, offset, limit, columns } = question;
  const found = [...grouped(question, counts)];
  const rows = (groups === null && found.length === 0 ? [EMPTY] : found).filter((group) => isShown(having, group));
  return rows
    .sort((one, other) => compared(order, one, other))
    .slice(offset, limit === null ? undefined : offset + limit)
    .map((group) => columns.map(({ item }) => said(item, group)));
}

/** By the names that another engine's types have: what makes Arrow of its rows makes Arrow of ours. */
export const resultColumns = ({ columns }: RollupQuestion): EngineColumn[] =>
  columns.map(({ name, item }) => ({ name, type: typeOf(item) }));

/** The keys of the rollups that may pass; absent: all. */
export function keysAsked({ dimension, filters }: RollupQuestion): string[] | undefined {
  const named = filters.find(({ negated }) => !negated);
  if (!dimension || !named) return undefined;
  return named.values.flatMap((value) => (value !== null ? [value] : mayBeNull(dimension) ? [NO_VALUE] : []));
}

const EMPTY: Group = { start: null, key: null, events: new Map() };

function grouped({ groups, filters, dimension }: RollupQuestion, counts: Iterable<TallyCount>): Iterable<Group> {
  const byTime = groups?.some(({ kind }) => kind === "time") ?? false;
  const byKey = groups?.some(({ kind }) => kind === "key") ?? false;
  const found = new Map<string, Group>();
  for (const [at, value, events] of counts) {
    const known = dimension && value === NO_VALUE && mayBeNull(dimension) ? null : value;
    if (!passes(filters, known)) continue;
    const start = byTime ? at : null;
    const key = byKey ? known : null;
    const id = `${start} ${key === null ? "" : `=${key}`}`;
    let group = found.get(id);
    if (!group) {
      group = { start, key, events: new Map() };
      found.set(id, group);
    }
    group.events.set(known, (group.events.get(known) ?? 0) + events);
  }
  return found.values();
}

const mayBeNull = (dimension: Dimension): boolean => !EVENT_COLUMNS[dimension].required;

function counted(filters: readonly KeyFilter[], { events }: Group): number {
  let sum = 0;
  for (const [value, some] of events) if (passes(filters, value)) sum += some;
  return sum;
}

const isShown = (having: readonly CountBound[], group: Group): boolean =>
  having.every(({ item, operator, value }) => HOLDS[operator](Number(placeIn(item, group)) - value));

/** Of what a count is above its bound. */
const HOLDS: Record<CountBound["operator"], (above: number) => boolean> = {
  Eq: (above) => above === 0,
  NotEq: (above) => above !== 0,
  Lt: (above) => above < 0,
  LtEq: (above) => above <= 0,
  Gt: (above) => above > 0,
  GtEq: (above) => above >= 0,
};

function said(item: Item, group: Group): Json {
  if (item.kind === "count") return counted(item.filters, group);
  if (item.kind === "key") return group.key;
  const text = isoMicros(group.start! * MICROS_PER_MS);
  return item.isDate ? text.replace(/T.*$/, "") : text;
}

function typeOf(item: Item): string {
  if (item.kind === "count") return "bigint";
  return item.kind === "key" ? "varchar" : item.isDate ? "date" : "timestamp";
}

function compared(order: readonly Order[], one: Group, other: Group): number {
  for (const { item, descending, nullsFirst } of order) {
    const [a, b] = [placeIn(item, one), placeIn(item, other)];
    if (a === b) continue;
    if (a === null || b === null) return (a === null) === nullsFirst ? -1 : 1;
    const ascending = typeof a === "number" ? a - (b as number) : byCodePoints(a, b as string);
    if (ascending !== 0) return descending ? -ascending : ascending;
  }
  return 0;
}

function placeIn(item: Item, group: Group): number | KeyValue {
  if (item.kind === "count") return counted(item.filters, group);
  return item.kind === "key" ? group.key : group.start;
}

/** As the bytes of their UTF-8, which is how DuckDB compares texts. */
function byCodePoints(one: string, other: string): number {
  const [a, b] = [Array.from(one), Array.from(other)];
  for (let i = 0; i < a.length && i < b.length; i++) {
    if (a[i] !== b[i]) return a[i]!.codePointAt(0)! - b[i]!.codePointAt(0)!;
  }
  return a.length - b.length;
}
