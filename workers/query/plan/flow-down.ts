/**
 * What a statement says of the rows of a table it names, wherever it says so: in the WHERE beside the table, in the ON of
 * inner joins, and in a WHERE around the subquery or WITH entry through which the table's columns flow unchanged.
 *
 *     with e as (select event_time, lower(country) c from events)
 *     select … from e where event_time >= '2026-11-22' and c = 'de'      the time is the table's, `c` is not
 *
 * A filter goes down only where the rows that it drops could change nothing on their way up: not past a LIMIT, a window, a
 * grouping or a set operation. Of a WITH entry that is used several times, the rows that any use wants are read.
 */
import { type Columns, TABLES, type TableName } from "../../../r2-layout/event-columns.ts";
import { mayBePromoted } from "../../../r2-layout/promoted-request.ts";
import { both, type Constraint, constraintOf, either, NOTHING } from "./constraints.ts";
import { columnPath, identText, isNode, kind, type Node, nodes, unwrapped } from "./syntax-tree.ts";

/** A query that stands in FROM, a subquery or a WITH entry: where it does. */
export interface QueryNode {
  readonly uses: Reference[];
}

export interface SelectNode {
  /** WHERE, and the ON of inner joins; none where joins would change what they mean. */
  conditions: readonly unknown[];
  readonly relations: Relation[];
  /** Columns that USING merges, null for any: a bare name may then be another's. */
  merged: ReadonlySet<string> | null;
  projection: readonly Node[];
  /** The query that it is, where filters around that may go down into it. */
  query: QueryNode | null;
}

export interface Relation {
  readonly alias: string | null;
  /** Set for one of our tables. */
  readonly table: TableName | null;
  /** Set for a subquery or a WITH entry. */
  readonly query: QueryNode | null;
  /** Neither are its columns renamed nor its rows sampled. */
  readonly whole: boolean;
  /** Tables whose every column it has. */
  readonly flows: ReadonlySet<TableName>;
}

/** A relation where it stands. */
export interface Reference {
  readonly select: SelectNode;
  readonly relation: Relation;
}

/** What columns of the table are called in a relation; null for what is no column of it. */
type Names = (name: string) => string | null;

/** Ways from a table to the statement's top that are looked at: WITH entries that name each other twice are more each time. */
const STEPS_MAX = 500;

export function constraintsOn(reference: Reference, table: TableName): Constraint {
  const columns: Columns = TABLES[table];
  // A name that may be a promoted column's is taken for one: where there is none, no file has bounds for it.
  const names: Names = (name) => (Object.hasOwn(columns, name) || mayBePromoted(table, name) ? name : null);
  return new FlowDown(table, columns).constraint(reference, names);
}

const TIME: Record<TableName, string> = { events: "event_time", quarantine: "received_at" };

class FlowDown {
  readonly #table: TableName;
  readonly #columns: Columns;
  #steps = 0;

  constructor(table: TableName, columns: Columns) {
    this.#table = table;
    this.#columns = columns;
  }

  constraint({ select, relation }: Reference, names: Names): Constraint {
    if (!relation.whole || ++this.#steps > STEPS_MAX) return NOTHING;
    const owns = ownsOf(select, relation, names);
    const columns = {
      time: TIME[this.#table],
      takes: (name: string, value: string | number) =>
        mayBePromoted(this.#table, name) || (this.#columns[name]!.type === "utf8") === (typeof value === "string"),
      owns,
    };
    const own = select.conditions.map((condition) => constraintOf(condition, columns)).reduce(both, NOTHING);
    const { query } = select;
    if (!query || query.uses.length === 0) return own;
    const exported = exportedNames(select, owns, names);
    return both(own, query.uses.map((use) => this.constraint(use, exported)).reduce(either));
  }
}

/**
 * How a path, `["event_time"]` or `["e", "event_time"]`, means a column of this relation. A bare name among several
 * relations belongs to the one that has it; two that have it are an error to DuckDB.
 */
function ownsOf({ relations, merged }: SelectNode, relation: Relation, names: Names) {
  const sameAlias = relations.filter(({ alias }) => alias === relation.alias).length > 1;
  return ([first, second, ...more]: readonly string[]): string | null => {
    if (sameAlias || first === undefined || more.length > 0) return null;
    if (second !== undefined) return first === relation.alias ? names(second) : null;
    return merged === null || merged.has(first) ? null : names(first);
  };
}

/** What the columns of a relation are called outside its SELECT; two outputs of one name are nobody's. */
function exportedNames(
  { projection, relations }: SelectNode,
  owns: (path: readonly string[]) => string | null,
  names: Names,
): Names {
  const outputs = new Map<string, string | null>();
  let all = false;
  for (const item of projection) {
    if ("Wildcard" in item && relations.length === 1 && isPlainWildcard(item.Wildcard)) {
      all = true;
      continue;
    }
    const aliased = kind(item, "ExprWithAlias");
    const path = columnPath(unwrapped(aliased ? aliased.expr : item.UnnamedExpr));
    const name = aliased ? identText(aliased.alias) : path?.at(-1);
    // What stands for several columns may have any name.
    if (!aliased && !("UnnamedExpr" in item)) return () => null;
    if (name == null) continue;
    outputs.set(name, outputs.has(name) || !path ? null : owns(path));
  }
  return (name) => {
    if (!outputs.has(name)) return all ? names(name) : null;
    return all && names(name) !== null ? null : (outputs.get(name) ?? null);
  };
}

const isPlainWildcard = (options: unknown): boolean =>
  isNode(options) && Object.entries(options).every(([name, value]) => name === "wildcard_token" || value === null);

/** Whether a filter around the SELECT may go down into it. @param query what it is the body of. */
export function letsThrough(query: Node, select: Node): boolean {
  if (!isNothing(query.limit_clause) || !isNothing(query.fetch)) return false;
  if (!isNothing(select.having) || !isNothing(select.qualify) || nodes(select.named_window).length > 0) return false;
  if (isNode(select.distinct)) return false;
  const grouped =
    kind(select.group_by, "Expressions") ?? (isNode(select.group_by) ? select.group_by.Expressions : null);
  if (!Array.isArray(grouped) || grouped.some((list) => Array.isArray(list) && list.length > 0)) return false;
  return !hasWindow(select.projection) && !JSON.stringify(select.projection ?? null).includes('"value":"columns"');
}

const isNothing = (value: unknown): boolean => value === null || value === undefined;

function hasWindow(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(hasWindow);
  if (!isNode(value)) return false;
  const call = kind(value, "Function");
  if (call && !isNothing(call.over)) return true;
  return Object.entries(value).some(([key, inner]) => key !== "span" && hasWindow(inner));
}
