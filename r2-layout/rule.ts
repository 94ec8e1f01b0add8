/**
 * A rule changes or retracts events that the log already has: a correction, or the settlement of an id that was stored
 * twice. The log's segments stay as they were; rows pass through the rules in force whenever they are read, so a rebuild
 * gives the corrected state, and each store changes what it had stored before.
 *
 * A rule has one version for all shards, dense from 1, and a place in each shard's log: it holds for rows of segments
 * below that place. Rules are applied in the order of their versions.
 */
import type { EVENT_COLUMNS, EventRow } from "./event-columns.ts";
import {
  isPlaceholder,
  type PackedSubjects,
  type SubjectHash,
  type SubjectHasher,
  type SubjectKind,
  subjectsOf,
  unpackSubjects,
} from "./subjects.ts";

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
  /** Only events that name one of them, and the rest of the filter holds too. Who reads it needs the hasher of their key. */
  readonly subjects?: PackedSubjects;
}

export type RuleChange =
  | { readonly kind: "set"; readonly values: Readonly<Partial<Record<RuleField, RuleValue>>> }
  /** Each value of the field that is a key becomes what it maps to. */
  | { readonly kind: "map"; readonly field: RuleField; readonly values: Readonly<Record<string, RuleValue>> }
  | { readonly kind: "retract" }
  /** As `retract`, of events about people who are to be forgotten: nothing about them comes into a log above it. */
  | { readonly kind: "erase" }
  /** Leaves the events below it as they are; nothing about the people comes into a log above it. */
  | { readonly kind: "suppress" };

/** Whether lines about whom the rule names are kept out of the log above its place. */
export const barsLines = ({ change }: Pick<Rule, "change">): boolean =>
  change.kind === "erase" || change.kind === "suppress";

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

/**
 * Whether a row, of whatever place, is one that the filter means. To be made once for many rows.
 * @throws Error where the filter names subjects and there is no hasher: without one it would mean every event there is
 */
export function ruleMatcher(filter: RuleFilter, hash?: SubjectHasher): (row: EventRow) => boolean {
  const { from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY } = filter;
  const where = Object.entries(filter.where ?? {}).map(
    ([field, values]) => [field as RuleField, valueTest(field as RuleField, values ?? [], hash)] as const,
  );
  const places =
    filter.places && new Set(filter.places.map((p) => `${p.shard}/${p.seq}/${placeKey(p.source, p.event_id)}`));
  const people = filter.subjects === undefined ? null : { known: subjectsIn(filter.subjects), hash: needed(hash) };
  return (row) => {
    if (row.event_time < from || row.event_time >= to) return false;
    if (places && !places.has(`${row.log_shard}/${row.log_seq}/${placeKey(row.source, row.event_id)}`)) return false;
    if (people && !subjectsOf(row).some((subject) => people.known.has(people.hash(subject)))) return false;
    return where.every(([field, isOne]) => {
      const value = fieldValue(row, field);
      return Array.isArray(value) ? value.some(isOne) : isOne(value as RuleValue);
    });
  };
}

/** Columns in which an erased name has given way to a placeholder, in rows and in rules, now here, now there. */
const NAMING: Readonly<Partial<Record<RuleField, SubjectKind>>> = { user_id: "user", anonymous_id: "device" };

/** Whether a value is one of these. A name and the placeholder that was made of it are one. */
function valueTest(
  field: RuleField,
  values: readonly RuleValue[],
  hash: SubjectHasher | undefined,
): (value: RuleValue) => boolean {
  const known = new Set<RuleValue>(values);
  const kind = NAMING[field];
  if (!kind || !hash) return (value) => known.has(value);
  const texts = values.filter((value) => typeof value === "string");
  const hashes = () => new Set(texts.map((id) => hash({ kind, id })));
  let hashed = texts.some(isPlaceholder) ? hashes() : null;
  return (value) => {
    if (known.has(value)) return true;
    if (typeof value !== "string") return false;
    if (isPlaceholder(value)) hashed ??= hashes();
    return hashed?.has(hash({ kind, id: value })) ?? false;
  };
}

function needed(hash: SubjectHasher | undefined): SubjectHasher {
  if (!hash) throw new Error("a rule about people cannot be read without the key of their hashes");
  return hash;
}

/** Readers are made for each page and file, of the same few rules. */
const unpacked = new Map<PackedSubjects, ReadonlySet<SubjectHash>>();
const SETS_KEPT = 32;

function subjectsIn(packed: PackedSubjects): ReadonlySet<SubjectHash> {
  const known = unpacked.get(packed);
  if (known) return known;
  if (unpacked.size === SETS_KEPT) unpacked.clear();
  const subjects = unpackSubjects(packed);
  unpacked.set(packed, subjects);
  return subjects;
}

/**
 * @returns the row as the change leaves it, null where it is retracted. The row itself stays as it is.
 * @param hash for names that an erasure has replaced: with it a name and its placeholder are one
 */
export function changeRow(row: EventRow, change: RuleChange, hash?: SubjectHasher): EventRow | null {
  switch (change.kind) {
    case "retract":
    case "erase":
      return null;
    case "suppress":
      return row;
    case "set":
      return Object.entries(change.values).reduce(
        (changed, [field, value]) => withField(changed, field as RuleField, value ?? null),
        row,
      );
    case "map": {
      const value = fieldValue(row, change.field);
      const key = typeof value === "number" ? String(value) : value;
      if (typeof key !== "string") return row;
      const known = Object.hasOwn(change.values, key)
        ? key
        : Object.keys(change.values).find((other) => isSameName(change.field, key, other, hash));
      return known === undefined ? row : withField(row, change.field, change.values[known]!);
    }
  }
}

function isSameName(field: RuleField, one: string, other: string, hash: SubjectHasher | undefined): boolean {
  const kind = NAMING[field];
  if (!kind || !hash || !(isPlaceholder(one) || isPlaceholder(other))) return false;
  return hash({ kind, id: one }) === hash({ kind, id: other });
}

function withField(row: EventRow, field: RuleField, value: RuleValue): EventRow {
  if (!field.startsWith(PROPERTY)) return { ...row, [field]: value };
  const name = field.slice(PROPERTY.length);
  const { [name]: _, ...rest } = row.properties ?? {};
  if (value !== null) return { ...row, properties: { ...rest, [name]: String(value) } };
  // Without properties there is no map, as the edge has it.
  return { ...row, properties: Object.keys(rest).length > 0 ? rest : null };
}

/** What one rule, or several erasures in a row, make of a row. */
type RuleStep = (row: EventRow) => EventRow | null;

/**
 * A row passes through the rules above its place, in order. @returns null where one of them retracts it, the row itself
 * where none changes it. Rows and rules of one shard; of several, see `shardedRulesReader`.
 * @throws Error where one of them is about people and there is no hasher: what it takes out would be shown
 */
export function rulesReader(rules: readonly RuleAt[], hash?: SubjectHasher): (row: EventRow) => EventRow | null {
  const steps: RuleStep[] = [];
  let erasures: RuleAt[] = [];
  const together = () => {
    if (erasures.length > 0) steps.push(erasing(erasures, needed(hash)));
    erasures = [];
  };
  for (const rule of rules.toSorted((a, b) => a.version - b.version)) {
    const { seq, change, filter } = rule;
    if (change.kind === "suppress") continue;
    if (change.kind === "erase" && isAboutPeopleAlone(filter)) {
      erasures.push(rule);
      continue;
    }
    together();
    const matches = ruleMatcher(filter, hash);
    steps.push((row) => (row.log_seq < seq && matches(row) ? changeRow(row, change, hash) : row));
  }
  together();
  if (steps.length === 0) return (row) => row;
  return (row) => {
    let current: EventRow | null = row;
    for (const step of steps) {
      current = step(current);
      if (current === null) return null;
    }
    return current;
  };
}

const isAboutPeopleAlone = ({ subjects, from, to, where, places }: RuleFilter): boolean =>
  subjects !== undefined && from === undefined && to === undefined && where === undefined && places === undefined;

/** Erasures one after another as one look, however many there were: whom each is about, up to which place. */
function erasing(rules: readonly RuleAt[], hash: SubjectHasher): RuleStep {
  const [only] = rules;
  if (rules.length === 1 && only) {
    const people = subjectsIn(only.filter.subjects!);
    return (row) =>
      row.log_seq < only.seq && subjectsOf(row).some((subject) => people.has(hash(subject))) ? null : row;
  }
  const until = new Map<SubjectHash, number>();
  for (const { seq, filter } of rules) {
    for (const subject of subjectsIn(filter.subjects!)) until.set(subject, Math.max(seq, until.get(subject) ?? 0));
  }
  return (row) => (subjectsOf(row).some((subject) => row.log_seq < (until.get(hash(subject)) ?? 0)) ? null : row);
}

/**
 * `rulesReader` for rows of several shards, each with its own rules. @param above rules of this version and older were
 * passed before.
 */
export function shardedRulesReader(
  byShard: ReadonlyMap<number, readonly RuleAt[]>,
  above = 0,
  hash?: SubjectHasher,
): (row: EventRow) => EventRow | null {
  const readers = new Map(
    Array.from(byShard, ([shard, rules]) => {
      const due = rules.filter(({ version }) => version > above);
      return [shard, rulesReader(due, hash)] as const;
    }),
  );
  return (row) => {
    const read = readers.get(row.log_shard);
    return read ? read(row) : row;
  };
}
