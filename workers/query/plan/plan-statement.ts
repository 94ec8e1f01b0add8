/**
 * Reads a statement: exactly one SELECT over the tables `events` and `quarantine`, or a refusal with its reason. What
 * is not known to be harmless is refused: tables by name, functions by name, kinds of table expressions by kind.
 * DuckDB's own file system (engine/virtual-files.ts) is the second wall, should something slip through here.
 *
 * And for each table it says what the statement needs of it, so that only those files and column chunks are fetched:
 * a range of time, values of text columns, column names. Those only ever leave out what cannot matter; a need that is
 * guessed too small costs a slower read, never a row.
 */
import { TABLES, type TableName } from "../../../r2-layout/event-columns.ts";
import { mayBePromoted } from "../../../r2-layout/promoted-request.ts";
import { err, ok, type Result } from "../../../r2-layout/result.ts";
import { FUNCTIONS, TABLE_FUNCTIONS } from "./allowed-functions.ts";
import { type Constraint, either } from "./constraints.ts";
import {
  constraintsOn,
  letsThrough,
  type QueryNode,
  type Reference,
  type Relation,
  type SelectNode,
} from "./flow-down.ts";
import { plainText } from "./plain-text.ts";
import { type Refusal, Refused } from "./refusal.ts";
import { columnPath, identText, isNode, kind, type Node, nodes, objectName } from "./syntax-tree.ts";

export interface TableNeed extends Constraint {
  readonly table: TableName;
  /** Columns that the statement may read; null for all. */
  readonly columns: ReadonlySet<string> | null;
  /**
   * Further names in it that promoted columns may have. Which of them there are, the catalog knows, for the snapshot that
   * is asked; of the others nothing follows, there or here. Absent where `columns` is null, or the table can have none.
   */
  readonly names?: ReadonlySet<string>;
  /** How often the statement reads the table, one way of reading a recursive query counted once. */
  readonly scans: number;
}

/** Where a table is named in FROM: characters of the text, half open. */
export interface TablePlace {
  readonly table: TableName;
  readonly start: number;
  readonly end: number;
  readonly aliased: boolean;
}

export interface StatementPlan {
  /** What is to be run: the statement as it was checked. */
  readonly sql: string;
  /** One for each table the statement reads. */
  readonly tables: readonly TableNeed[];
  readonly places: readonly TablePlace[];
}

/** @returns the syntax tree of each statement in the text. @throws with the parser's message. */
export type ParseSql = (sql: string) => unknown;

export const TIME_COLUMNS: Record<TableName, string> = { events: "event_time", quarantine: "received_at" };

/** @param nowUs what `now()` means, microseconds. */
export function planStatement(parse: ParseSql, sql: string, nowUs: number): Result<StatementPlan, Refusal> {
  try {
    const text = plainText(sql, nowUs);
    if (!READS.test(text)) throw new Refused("not_a_select", "only a SELECT is answered here");
    const walk = new StatementWalk();
    walk.statements(parsed(parse, text));
    return ok({ sql: text, tables: walk.needs(), places: walk.places });
  } catch (error) {
    if (error instanceof Refused) return err(error.refusal);
    // A tree too deep for our own walk.
    if (error instanceof RangeError)
      return err({ reason: "statement_too_complex", detail: "the statement nests too deep" });
    throw error;
  }
}

const READS = /^[\s(]*(select|with|from|values)\b/i;

function parsed(parse: ParseSql, text: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (/recursion limit/i.test(message)) throw new Refused("statement_too_complex", "the statement nests too deep");
    // The parser is wasm: where it ran out of stack it trapped, and its instance is gone.
    if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) {
      throw new Refused("statement_too_complex", "the statement is too large to be read");
    }
    throw new Refused("sql_error", message.replace(/^sql parser error: /, ""));
  }
}

/** What a name in FROM means where it stands: a WITH entry, with whether all columns of a table flow through it. */
interface Entry {
  readonly wholeTables: ReadonlySet<TableName>;
  readonly scans: ReadonlyMap<TableName, number>;
  /** Null within itself. */
  readonly query: QueryNode | null;
}
type Scope = ReadonlyMap<string, Entry>;

const NO_TABLES: ReadonlySet<TableName> = new Set();

class StatementWalk {
  readonly #references: Reference[] = [];
  readonly #names = new Set<string>();
  /** Those of them that stand alone: one may be a table's alias, which is its row as a struct. */
  readonly #bareNames = new Set<string>();
  #allColumns = new Set<TableName>();
  readonly places: TablePlace[] = [];
  /** Of the query that is walked: a WITH entry's count where it is used. */
  #scans = new Map<TableName, number>();

  statements(tree: unknown): void {
    if (!Array.isArray(tree) || tree.length === 0) throw new Refused("empty_statement", "there is no statement");
    if (tree.length > 1) throw new Refused("several_statements", "one statement at a time");
    const query = kind(tree[0], "Query");
    if (!query) throw new Refused("not_a_select", "only a SELECT is answered here");
    // Columns that `select *` takes out of the statement are all read; inside, only those that something names.
    for (const table of this.#query(query, new Map())) this.#allColumns.add(table);
  }

  needs(): TableNeed[] {
    const needs = new Map<TableName, Constraint>();
    for (const reference of this.#references) {
      const table = reference.relation.table!;
      const constraint = constraintsOn(reference, table);
      const before = needs.get(table);
      needs.set(table, before ? either(before, constraint) : constraint);
    }
    return [...needs].map(([table, constraint]) => {
      if (this.#allColumns.has(table))
        return { table, columns: null, scans: this.#scans.get(table) ?? 1, ...constraint };
      const columns = new Set(Object.keys(TABLES[table]).filter((name) => this.#names.has(name)));
      const names = new Set([...this.#names].filter((name) => mayBePromoted(table, name)));
      const scans = this.#scans.get(table) ?? 1;
      return { table, columns, ...(names.size > 0 && { names }), scans, ...constraint };
    });
  }

  /** @returns the tables whose every column flows out of the query. */
  #query(query: Node, outer: Scope, node: QueryNode | null = null): ReadonlySet<TableName> {
    refuseUnless(query, QUERY_PARTS, "query");
    let scope = outer;
    const clause = kind(query, "with");
    if (clause) scope = this.#ctes(clause, outer);
    const select = kind(query.body, "Select");
    const through = node && select && letsThrough(query, select) ? node : null;
    const flows = select ? this.#select(select, scope, through) : this.#setExpression(query.body, scope);
    for (const part of ["order_by", "limit_clause", "fetch"]) this.#expressions(query[part], scope);
    return flows;
  }

  #ctes(clause: Node, outer: Scope): Scope {
    const scope = new Map(outer);
    for (const cte of nodes(clause.cte_tables)) {
      const alias = kind(cte, "alias");
      const name = identText(alias?.name);
      const query = kind(cte, "query");
      if (name === null || !query) throw new Refused("unsupported_syntax", "a WITH entry needs a name and a query");
      // A recursive one may name itself. Whoever shadows a table means what they define.
      const inner = new Map(scope);
      if (clause.recursive === true) inner.set(name, { wholeTables: NO_TABLES, scans: new Map(), query: null });
      const outside = this.#scans;
      this.#scans = new Map();
      const node: QueryNode = { uses: [] };
      const flows = this.#query(query, inner, node);
      const scans = this.#scans;
      this.#scans = outside;
      const renamed = nodes(alias?.columns).length > 0;
      if (renamed) for (const table of flows) this.#allColumns.add(table);
      scope.set(name, { wholeTables: flows, scans, query: renamed ? null : node });
    }
    return scope;
  }

  #setExpression(body: unknown, scope: Scope): ReadonlySet<TableName> {
    const select = kind(body, "Select");
    if (select) return this.#select(select, scope);
    const query = kind(body, "Query");
    if (query) return this.#query(query, scope);
    const operation = kind(body, "SetOperation");
    if (operation) {
      const left = this.#setExpression(operation.left, scope);
      const right = this.#setExpression(operation.right, scope);
      // A union keeps columns by position, and other set operations compare whole rows.
      const flows = new Set([...left, ...right]);
      if (operation.op !== "Union") for (const table of flows) this.#allColumns.add(table);
      return flows;
    }
    const values = kind(body, "Values");
    if (values) {
      this.#expressions(values.rows, scope);
      return NO_TABLES;
    }
    throw new Refused("not_a_select", "only SELECT, VALUES and their unions are answered here");
  }

  /** @param query what it is the body of, where filters around that may go down into it. */
  #select(select: Node, scope: Scope, query: QueryNode | null = null): ReadonlySet<TableName> {
    refuseUnless(select, SELECT_PARTS, "select");
    const relations: Relation[] = [];
    const joins: Joins = { plain: true, inner: true, merged: new Set(), conditions: [] };
    for (const item of nodes(select.from)) this.#tableWithJoins(item, scope, relations, joins);
    const whole: SelectNode = {
      conditions: joins.plain ? [select.selection, ...(joins.inner ? joins.conditions : [])] : [],
      relations,
      merged: joins.merged,
      projection: select.flavor === "FromFirstNoSelect" ? [{ Wildcard: {} }] : nodes(select.projection),
      // What other joins keep of a row depends on its neighbours.
      query: joins.plain ? query : null,
    };
    for (const relation of relations) {
      if (relation.table) this.#references.push({ select: whole, relation });
      relation.query?.uses.push({ select: whole, relation });
    }
    for (const part of Object.keys(select)) if (part !== "from") this.#expressions(select[part], scope);
    if (select.distinct === "Distinct" && nodes(select.projection).some(isWildcard)) {
      for (const { flows } of relations) for (const table of flows) this.#allColumns.add(table);
    }
    return this.#flowsOut(select, relations);
  }

  #flowsOut(select: Node, relations: readonly Relation[]): ReadonlySet<TableName> {
    // `from events` alone means `select *`.
    const projection = nodes(select.projection);
    const all =
      select.flavor === "FromFirstNoSelect" || projection.some((item) => isWildcard(item) || usesColumns(item));
    const flows = new Set<TableName>();
    for (const relation of relations) {
      // `select e from events e` is the row as a struct.
      const asRow = relation.alias !== null && this.#bareNames.has(relation.alias);
      if (all || asRow) for (const table of relation.flows) flows.add(table);
    }
    return flows;
  }

  #tableWithJoins(item: Node, scope: Scope, relations: Relation[], joins: Joins): void {
    this.#tableFactor(item.relation, scope, relations, joins);
    for (const join of nodes(item.joins)) {
      this.#tableFactor(join.relation, scope, relations, joins);
      const operator = join.join_operator;
      const [name = ""] = isNode(operator) ? Object.keys(operator) : [String(operator)];
      const constraint = isNode(operator) ? operator[name] : undefined;
      if (isNode(constraint) && "Using" in constraint)
        for (const part of this.#using(constraint.Using)) joins.merged?.add(part);
      if (constraint === "Natural") joins.merged = null;
      if (isNode(constraint) && "On" in constraint) joins.conditions.push(constraint.On);
      joins.plain = joins.plain && PLAIN_JOINS.has(name);
      joins.inner = joins.inner && INNER_JOINS.has(name);
      this.#expressions(operator, scope);
    }
  }

  #using(names: unknown): string[] {
    const parts = Array.isArray(names) ? names.flatMap((name) => objectName(name)?.parts ?? []) : [];
    for (const part of parts) this.#names.add(part);
    return parts;
  }

  #tableFactor(factor: unknown, scope: Scope, relations: Relation[], joins: Joins): void {
    const table = kind(factor, "Table");
    if (table) {
      this.#table(table, scope, relations);
      return;
    }
    const derived = kind(factor, "Derived");
    if (derived) {
      const query = kind(derived, "subquery");
      if (!query) throw new Refused("unsupported_syntax", "a subquery in FROM cannot be read");
      const node: QueryNode = { uses: [] };
      const flows = this.#query(query, scope, node);
      const sampled = derived.sample !== undefined && derived.sample !== null;
      if (sampled) joins.plain = false;
      relations.push({
        alias: aliasOf(derived),
        table: null,
        query: node,
        whole: !sampled && !isRenamed(derived),
        flows,
      });
      return;
    }
    const nested = kind(factor, "NestedJoin");
    if (nested) {
      const inner = kind(nested, "table_with_joins");
      if (!inner) throw new Refused("unsupported_syntax", "a join in brackets cannot be read");
      this.#tableWithJoins(inner, scope, relations, joins);
      joins.plain = false;
      return;
    }
    const unnest = kind(factor, "UNNEST");
    if (unnest) {
      this.#expressions(unnest, scope);
      relations.push({ ...OTHER, alias: aliasOf(unnest) });
      return;
    }
    const name = isNode(factor) ? Object.keys(factor)[0] : undefined;
    throw new Refused("unsupported_syntax", `${name ?? "this"} is not supported in FROM`);
  }

  #table(table: Node, scope: Scope, relations: Relation[]): void {
    refuseUnless(table, TABLE_PARTS, "table");
    const name = objectName(table.name);
    const alias = aliasOf(table);
    if (!name) throw new Refused("table_not_allowed", TABLES_TEXT);
    const [first = ""] = name.parts;
    if (isNode(table.args)) {
      if (name.parts.length !== 1 || !TABLE_FUNCTIONS.has(first)) {
        throw new Refused("table_function_not_allowed", `${name.parts.join(".")}() is not allowed in FROM`);
      }
      this.#expressions(table.args, scope);
      relations.push({ ...OTHER, alias });
      return;
    }
    // 'x.parquet' is a file to DuckDB.
    if (name.parts.length !== 1 || name.quotes[0] === "'") throw new Refused("table_not_allowed", TABLES_TEXT);
    const renamed = isRenamed(table);
    const sampled = table.sample !== undefined && table.sample !== null;
    const whole = !renamed && !sampled;
    const entry = scope.get(first);
    if (entry) {
      for (const [table, scans] of entry.scans) this.#scans.set(table, (this.#scans.get(table) ?? 0) + scans);
      relations.push({ alias: alias ?? first, table: null, query: entry.query, whole, flows: entry.wholeTables });
      return;
    }
    if (!Object.hasOwn(TABLES, first)) throw new Refused("table_not_allowed", `${first}: ${TABLES_TEXT}`);
    const base = first as TableName;
    this.#scans.set(base, (this.#scans.get(base) ?? 0) + 1);
    this.#place(base, table.name, alias !== null);
    if (renamed) this.#allColumns.add(base);
    relations.push({ alias: alias ?? first, table: base, query: null, whole, flows: new Set([base]) });
  }

  #place(table: TableName, name: unknown, aliased: boolean): void {
    const span = kind(kind(nodes(name)[0], "Identifier"), "span");
    const [start, end] = [kind(span, "start")?.column, kind(span, "end")?.column];
    // The text is one line.
    if (typeof start !== "number" || typeof end !== "number" || kind(span, "end")?.line !== 1) return;
    this.places.push({ table, start: start - 1, end: end - 1, aliased });
  }

  /** Everything that is not a table: functions and subqueries inside it are checked, names are remembered. */
  #expressions(value: unknown, scope: Scope): void {
    if (Array.isArray(value)) {
      for (const item of value) this.#expressions(item, scope);
      return;
    }
    if (!isNode(value)) return;
    if ("body" in value && "pipe_operators" in value) {
      for (const table of this.#query(value, scope)) this.#allColumns.add(table);
      return;
    }
    for (const name of DENIED_NODES) {
      if (name in value) throw new Refused("unsupported_syntax", `${name} is not supported`);
    }
    const call = kind(value, "Function");
    if (call) checkFunction(call);
    // The parser takes `f(a = 1)` for an argument by the name of a, DuckDB for a comparison.
    const named = identText(kind(value, "Named")?.name);
    const path = columnPath(value) ?? (named === null ? [] : [named]);
    for (const part of path) this.#names.add(part);
    if (path.length === 1) this.#bareNames.add(path[0]!);
    for (const key of Object.keys(value)) if (key !== "span") this.#expressions(value[key], scope);
  }
}

/** What the joins of a SELECT leave of the meaning of its conditions. */
interface Joins {
  /** A WHERE on a side's column means the same before and after them. */
  plain: boolean;
  /** So does an ON. */
  inner: boolean;
  merged: Set<string> | null;
  readonly conditions: unknown[];
}

const OTHER = { table: null, query: null, whole: false, flows: NO_TABLES } as const;

const isRenamed = (factor: Node): boolean => nodes(kind(factor, "alias")?.columns).length > 0;

function aliasOf(factor: Node): string | null {
  return identText(kind(factor, "alias")?.name);
}

const isWildcard = (item: Node): boolean => "Wildcard" in item || "QualifiedWildcard" in item;

/** `columns(...)` stands for several columns. */
const usesColumns = (item: Node): boolean => JSON.stringify(item).includes('"value":"columns"');

function checkFunction(call: Node): void {
  const name = objectName(call.name);
  const [only = ""] = name?.parts ?? [];
  if (name?.parts.length !== 1 || !FUNCTIONS.has(only)) {
    throw new Refused("function_not_allowed", `${name?.parts.join(".") ?? "this function"}() is not allowed`);
  }
}

const TABLES_TEXT = "the tables are events and quarantine";

/** Joins after which a row that fails a WHERE on one side is gone, whichever row it was joined with. */
const INNER_JOINS = new Set("Join Inner CrossJoin".split(" "));
const PLAIN_JOINS = new Set("Join Inner Left LeftOuter Right RightOuter FullOuter CrossJoin".split(" "));

const DENIED_NODES = ["Placeholder", "Prior", "ConnectByRoot", "MatchAgainst", "NationalStringLiteral"];

/** Parts of a node that may hold something; any other must be empty. */
function refuseUnless(node: Node, allowed: ReadonlySet<string>, what: string): void {
  for (const [part, value] of Object.entries(node)) {
    if (allowed.has(part) || isEmpty(value)) continue;
    throw new Refused("unsupported_syntax", `${part.replaceAll("_", " ")} is not supported in a ${what}`);
  }
}

const isEmpty = (value: unknown): boolean =>
  value === null || value === undefined || value === false || (Array.isArray(value) && value.length === 0);

const QUERY_PARTS = new Set(["with", "body", "order_by", "limit_clause", "fetch"]);
const SELECT_PARTS = new Set(
  "select_token distinct projection from selection group_by having named_window qualify window_before_qualify flavor exclude".split(
    " ",
  ),
);
const TABLE_PARTS = new Set(["name", "alias", "args", "sample", "with_ordinality"]);
