/**
 * A rule changes or retracts events that the log already has: a correction, or the settlement of an id that was stored
 * twice. The log's segments stay as they were; rows pass through the rules in force whenever they are read, so a rebuild
 * gives the corrected state, and each store changes what it had stored before.
 *
 * A rule has one version for all shards, dense from 1, and a place in each shard's log: it holds for rows of segments
 * below that place. Rules are applied in the order of their versions.
 */
import type { EVENT_COLUMNS, EventRow } from "./event-columns.ts";

/** A column of `events`, or `properties.<name>`. */
export type RuleField = keyof typeof EVENT_COLUMNS | `properties.${string}`;
export type RuleValue = string | number | null;

/** One event's place in the log and its id. */
export interface EventPlace {
  readonly shard: number;
  readonly seq: number;
  readonly source: string;
  readonly event_id: string;
}

export interface RuleFilter {
  /** Half-open range of event_time, microseconds. */
  readonly from?: number;
  readonly to?: number;
  /** Every field named has one of its values; null is the absent value. For `flags` one of the list is enough. */
  readonly where?: Readonly<Partial<Record<RuleField, readonly RuleValue[]>>>;
  /** Exactly these events, and the rest of the filter holds too. */
  readonly places?: readonly EventPlace[];
}

export type RuleChange =
  | { readonly kind: "set"; readonly values: Readonly<Partial<Record<RuleField, RuleValue>>> }
  /** Each value of the field that is a key becomes what it maps to. */
  | { readonly kind: "map"; readonly field: RuleField; readonly values: Readonly<Record<string, RuleValue>> }
  | { readonly kind: "retract" };

export interface Rule {
  readonly version: number;
  /** The job that made it. */
  readonly id: string;
  readonly filter: RuleFilter;
  readonly change: RuleChange;
  readonly note?: string;
  /** Milliseconds. */
  readonly createdAt: number;
}

/** A rule as one shard has it. */
export interface RuleAt extends Rule {
  /** The rule's own place: rows with a lower log_seq pass through it. */
  readonly seq: number;
}

/** What makes an event this event: no rule changes these. */
export const IDENTITY_FIELDS = [
  "event_id",
  "source",
  "event_time",
  "received_at",
  "properties",
  "flags",
  "log_shard",
  "log_seq",
] as const;

const PROPERTY = "properties.";

export function fieldValue(row: EventRow, field: RuleField): RuleValue | readonly string[] {
  if (field.startsWith(PROPERTY)) {
    const name = field.slice(PROPERTY.length);
    const { properties } = row;
    return properties && Object.hasOwn(properties, name) ? properties[name]! : null;
  }
  const value = row[field as keyof EventRow] ?? null;
  return value as RuleValue | readonly string[];
}

const placeKey = (source: string, eventId: string) => `${source}\n${eventId}`;

/** Whether a row, of whatever place, is one that the filter means. For many rows use `ruleMatcher`. */
export function ruleMatcher(filter: RuleFilter): (row: EventRow) => boolean {
  const { from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY } = filter;
  const where = Object.entries(filter.where ?? {}).map(
    ([field, values]) => [field as RuleField, new Set<RuleValue>(values)] as const,
  );
  const places =
    filter.places && new Set(filter.places.map((p) => `${p.shard}/${p.seq}/${placeKey(p.source, p.event_id)}`));
  return (row) => {
    if (row.event_time < from || row.event_time >= to) return false;
    if (places && !places.has(`${row.log_shard}/${row.log_seq}/${placeKey(row.source, row.event_id)}`)) return false;
    return where.every(([field, values]) => {
      const value = fieldValue(row, field);
      return Array.isArray(value) ? value.some((one) => values.has(one)) : values.has(value as RuleValue);
    });
  };
}

/** @returns the row as the change leaves it, null where it is retracted. The row itself stays as it is. */
export function changeRow(row: EventRow, change: RuleChange): EventRow | null {
  switch (change.kind) {
    case "retract":
      return null;
    case "set":
      return Object.entries(change.values).reduce(
        (changed, [field, value]) => withField(changed, field as RuleField, value ?? null),
        row,
      );
    case "map": {
      const value = fieldValue(row, change.field);
      const key = typeof value === "number" ? String(value) : value;
      if (typeof key !== "string" || !Object.hasOwn(change.values, key)) return row;
      return withField(row, change.field, change.values[key]!);
    }
  }
}

function withField(row: EventRow, field: RuleField, value: RuleValue): EventRow {
  if (!field.startsWith(PROPERTY)) return { ...row, [field]: value };
  const name = field.slice(PROPERTY.length);
  const { [name]: _, ...rest } = row.properties ?? {};
  if (value !== null) return { ...row, properties: { ...rest, [name]: String(value) } };
  // Without properties there is no map, as the edge has it.
  return { ...row, properties: Object.keys(rest).length > 0 ? rest : null };
}

/**
 * A row passes through the rules above its place, in order. @returns null where one of them retracts it, the row itself
 * where none changes it. Rows and rules of one shard; of several, see `shardedRulesReader`.
 */
export function rulesReader(rules: readonly RuleAt[]): (row: EventRow) => EventRow | null {
  const ordered = rules
    .toSorted((a, b) => a.version - b.version)
    .map((rule) => ({ seq: rule.seq, change: rule.change, matches: ruleMatcher(rule.filter) }));
  if (ordered.length === 0) return (row) => row;
  return (row) => {
    let current: EventRow | null = row;
    for (const { seq, change, matches } of ordered) {
      if (current === null) return null;
      if (current.log_seq < seq && matches(current)) current = changeRow(current, change);
    }
    return current;
  };
}

/**
 * `rulesReader` for rows of several shards, each with its own rules. @param above rules of this version and older were
 * passed before.
 */
export function shardedRulesReader(
  byShard: ReadonlyMap<number, readonly RuleAt[]>,
  above = 0,
): (row: EventRow) => EventRow | null {
  const readers = new Map(
    [...byShard].map(([shard, rules]) => [shard, rulesReader(rules.filter(({ version }) => version > above))] as const),
  );
  return (row) => {
    const read = readers.get(row.log_shard);
    return read ? read(row) : row;
  };
}
