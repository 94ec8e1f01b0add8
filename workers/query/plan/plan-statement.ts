/**
 * Reads a statement: exactly one SELECT over the tables `events` and `quarantine`, or a refusal with its reason. What
 * is not known to be harmless is refused: tables by name, functions by name, kinds of table expressions by kind.
 * DuckDB's own file system (engine/virtual-files.ts) is the second wall, should something slip through here.
 *
 * And for each table it says what the statement needs of it, so that only those files and column chunks are fetched:
 * a range of time, values of text columns, column names. Those only ever leave out what cannot matter; a need that is
 * guessed too small costs a slower read, never a row.
 */
import { type Columns, TABLES, type TableName } from "../../../r2-layout/event-columns.ts";
import { mayBePromoted } from "../../../r2-layout/promoted-request.ts";
import { err, ok, type Result } from "../../../r2-layout/result.ts";
import { FUNCTIONS, TABLE_FUNCTIONS } from "./allowed-functions.ts";
import { type Constraint, constraintOf, either, NOTHING } from "./constraints.ts";
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

/** What a name in FROM means where it stands: a CTE, with whether all columns of a table flow through it. */
type Scope = ReadonlyMap<string, { wholeTables: ReadonlySet<TableName>; scans: ReadonlyMap<TableName, number> }>;

interface Reference {
  readonly table: TableName;
  readonly constraint: Constraint;
}

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
    for (const { table, constraint } of this.#references) {
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
  #query(query: Node, outer: Scope): ReadonlySet<TableName> {
    refuseUnless(query, QUERY_PARTS, "query");
    let scope = outer;
    const clause = kind(query, "with");
    if (clause) scope = this.#ctes(clause, outer);
    const flows = this.#setExpression(query.body, scope);
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
      if (clause.recursive === true) inner.set(name, { wholeTables: NO_TABLES, scans: new Map() });
      const outside = this.#scans;
      this.#scans = new Map();
      const flows = this.#query(query, inner);
      const scans = this.#scans;
      this.#scans = outside;
      if (nodes(alias?.columns).length > 0) for (const table of flows) this.#allColumns.add(table);
      scope.set(name, { wholeTables: flows, scans });
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

  #select(select: Node, scope: Scope): ReadonlySet<TableName> {
    refuseUnless(select, SELECT_PARTS, "select");
    const relations: Relation[] = [];
    let plainJoins = true;
    for (const item of nodes(select.from)) plainJoins = this.#tableWithJoins(item, scope, relations) && plainJoins;
    for (const relation of relations) {
      if (!relation.base) continue;
      const { table, whole } = relation.base;
      const constraint =
        plainJoins && whole ? constraintOf(select.selection, columnsOf(table, relation, relations)) : NOTHING;
      this.#references.push({ table, constraint });
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

  /** @returns whether the joins leave a WHERE on a side's column the same meaning before and after them. */
  #tableWithJoins(item: Node, scope: Scope, relations: Relation[]): boolean {
    let plain = this.#tableFactor(item.relation, scope, relations);
    for (const join of nodes(item.joins)) {
      plain = this.#tableFactor(join.relation, scope, relations) && plain;
      const operator = join.join_operator;
      const [name = ""] = isNode(operator) ? Object.keys(operator) : [String(operator)];
      const constraint = isNode(operator) ? operator[name] : undefined;
      const byName = isNode(constraint) && "Using" in constraint;
      if (byName) this.#using(constraint.Using);
      plain = plain && PLAIN_JOINS.has(name) && !byName && constraint !== "Natural";
      this.#expressions(operator, scope);
    }
    return plain;
  }

  #using(names: unknown): void {
    if (!Array.isArray(names)) return;
    for (const name of names) for (const part of objectName(name)?.parts ?? []) this.#names.add(part);
  }

  #tableFactor(factor: unknown, scope: Scope, relations: Relation[]): boolean {
    const table = kind(factor, "Table");
    if (table) return this.#table(table, scope, relations);
    const derived = kind(factor, "Derived");
    if (derived) {
      const query = kind(derived, "subquery");
      if (!query) throw new Refused("unsupported_syntax", "a subquery in FROM cannot be read");
      const flows = this.#query(query, scope);
      relations.push({ alias: aliasOf(derived), base: null, flows });
      return derived.sample === undefined || derived.sample === null;
    }
    const nested = kind(factor, "NestedJoin");
    if (nested) {
      const inner = kind(nested, "table_with_joins");
      if (!inner) throw new Refused("unsupported_syntax", "a join in brackets cannot be read");
      this.#tableWithJoins(inner, scope, relations);
      return false;
    }
    const unnest = kind(factor, "UNNEST");
    if (unnest) {
      this.#expressions(unnest, scope);
      relations.push({ alias: aliasOf(unnest), base: null, flows: NO_TABLES });
      return true;
    }
    const name = isNode(factor) ? Object.keys(factor)[0] : undefined;
    throw new Refused("unsupported_syntax", `${name ?? "this"} is not supported in FROM`);
  }

  #table(table: Node, scope: Scope, relations: Relation[]): boolean {
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
      relations.push({ alias, base: null, flows: NO_TABLES });
      return true;
    }
    // 'x.parquet' is a file to DuckDB.
    if (name.parts.length !== 1 || name.quotes[0] === "'") throw new Refused("table_not_allowed", TABLES_TEXT);
    const cte = scope.get(first);
    if (cte) {
      for (const [table, scans] of cte.scans) this.#scans.set(table, (this.#scans.get(table) ?? 0) + scans);
      relations.push({ alias: alias ?? first, base: null, flows: cte.wholeTables });
      return true;
    }
    if (!Object.hasOwn(TABLES, first)) throw new Refused("table_not_allowed", `${first}: ${TABLES_TEXT}`);
    this.#scans.set(first as TableName, (this.#scans.get(first as TableName) ?? 0) + 1);
    this.#place(first as TableName, table.name, alias !== null);
    const renamed = nodes(kind(table, "alias")?.columns).length > 0;
    if (renamed) this.#allColumns.add(first as TableName);
    const sampled = table.sample !== undefined && table.sample !== null;
    const base = { table: first as TableName, whole: !renamed && !sampled };
    relations.push({ alias: alias ?? first, base, flows: new Set([base.table]) });
    return true;
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
    const path = columnPath(value) ?? [];
    for (const part of path) this.#names.add(part);
    if (path.length === 1) this.#bareNames.add(path[0]!);
    for (const key of Object.keys(value)) if (key !== "span") this.#expressions(value[key], scope);
  }
}

interface Relation {
  readonly alias: string | null;
  /** Set for one of our tables; `whole` unless its columns are renamed or its rows sampled. */
  readonly base: { table: TableName; whole: boolean } | null;
  /** Tables whose every column it has. */
  readonly flows: ReadonlySet<TableName>;
}

/**
 * How columns of one table reference are named in its SELECT. A bare name among several relations belongs to the one
 * that has it (two that have it are an error to DuckDB), so it may be claimed only where no other kind of relation,
 * whose columns are not known here, could be meant: then DuckDB reports the ambiguity, or the name is ours.
 */
function columnsOf(table: TableName, relation: Relation, relations: readonly Relation[]) {
  const columns: Columns = TABLES[table];
  // A name that may be a promoted column's is taken for one: where there is none, no file has bounds for it.
  const has = (name: string) => Object.hasOwn(columns, name) || mayBePromoted(table, name);
  const sameAlias = relations.filter((other) => other.alias === relation.alias).length > 1;
  return {
    time: TIME_COLUMNS[table],
    takes: (name: string, value: string | number) =>
      mayBePromoted(table, name) || (columns[name]!.type === "utf8") === (typeof value === "string"),
    owns([first, second, ...more]: readonly string[]): string | null {
      if (sameAlias || first === undefined || more.length > 0) return null;
      if (second === undefined) return has(first) ? first : null;
      return first === relation.alias && has(second) ? second : null;
    },
  };
}

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
