/**
 * A query's syntax tree as text again, with the rules of the dialect that is to read it: names of tables, functions,
 * types and whatever else is said differently there. Brackets are nodes of the tree, so the text groups as the tree
 * does. A node or a part of one that is not known here is refused: what is left out silently is another question.
 */
import { Refused } from "../plan/refusal.ts";
import { isNode, kind, type Node, nodes } from "../plan/syntax-tree.ts";
import { EXPRESSIONS } from "./expressions.ts";
import { inQuotes, kindOf, objectParts, quoted, unsupported } from "./sql-text.ts";

/** How one dialect says what others say differently; `undefined` means: as everybody. */
export interface DialectRules {
  /** A table of FROM, its alias aside: text and the name by which columns call it. */
  table(parts: readonly string[], printer: SqlPrinter): { text: string; name: string } | undefined;
  /** The whole of a table expression. */
  relation?(factor: Node, printer: SqlPrinter): string | undefined;
  call(name: string, call: Node, printer: SqlPrinter): string | undefined;
  expression?(expression: Node, printer: SqlPrinter): string | undefined;
  type(dataType: unknown): string;
  /** What it does not have, of what only DuckDB has. */
  readonly without?: ReadonlySet<string>;
}

export class SqlPrinter {
  readonly rules: DialectRules;
  /** Names of CTEs in reach: they are no tables. */
  readonly #ctes: string[][] = [];

  #inFilter = false;

  constructor(rules: DialectRules) {
    this.rules = rules;
  }

  /** @param tree what the parser gives for one statement. @throws Refused */
  statement(tree: unknown): string {
    if (!Array.isArray(tree) || tree.length === 0) throw new Refused("empty_statement", "there is no statement");
    if (tree.length > 1) throw new Refused("several_statements", "one statement at a time");
    const query = kind(tree[0], "Query");
    if (!query) throw new Refused("not_a_select", "only a SELECT is answered here");
    return this.query(query);
  }

  query(query: Node): string {
    onlyParts(query, ["with", "body", "order_by", "limit_clause", "fetch"], "query");
    const names: string[] = [];
    this.#ctes.push(names);
    const text = [
      this.#with(kind(query, "with"), names),
      this.setExpression(query.body),
      this.#orderBy(kind(query, "order_by")),
      this.#limit(kind(query, "limit_clause")),
      this.#fetch(kind(query, "fetch")),
    ];
    this.#ctes.pop();
    return text.filter((part) => part !== "").join(" ");
  }

  isCte(name: string): boolean {
    return this.#ctes.some((names) => names.includes(name.toLowerCase()));
  }

  #with(clause: Node | null, names: string[]): string {
    if (!clause) return "";
    const tables = nodes(clause.cte_tables);
    // Of each other they know those before them; of a recursive one, itself.
    if (clause.recursive === true) for (const cte of tables) names.push(aliasName(cte).toLowerCase());
    const texts = tables.map((cte) => {
      onlyParts(cte, ["alias", "query", "closing_paren_token", "materialized"], "common table expression");
      const text = `${this.alias(kind(cte, "alias"))} AS (${this.query(needed(cte, "query"))})`;
      names.push(aliasName(cte).toLowerCase());
      return text;
    });
    return `WITH ${clause.recursive === true ? "RECURSIVE " : ""}${texts.join(", ")}`;
  }

  setExpression(body: unknown): string {
    const select = kind(body, "Select");
    if (select) return this.select(select);
    const inner = kind(body, "Query");
    if (inner) return `(${this.query(inner)})`;
    const values = kind(body, "Values");
    if (values) {
      const rows = nodes(values.rows).map((row) => `(${this.list(row.content)})`);
      return `VALUES ${rows.join(", ")}`;
    }
    const operation = kind(body, "SetOperation");
    if (!operation) throw unsupported(kindOf(body));
    const quantifier = { None: "", All: " ALL", Distinct: " DISTINCT" }[String(operation.set_quantifier)];
    if (quantifier === undefined) throw unsupported(`${operation.op} ${operation.set_quantifier}`);
    const [left, right] = [this.setExpression(operation.left), this.setExpression(operation.right)];
    return `${left} ${String(operation.op).toUpperCase()}${quantifier} ${right}`;
  }

  select(select: Node): string {
    onlyParts(select, SELECT_PARTS, "SELECT");
    const text = [
      "SELECT",
      this.#distinct(select.distinct),
      // `from events` alone means everything.
      nodes(select.projection).length === 0
        ? "*"
        : nodes(select.projection)
            .map((item) => this.#projected(item))
            .join(", "),
    ];
    const from = nodes(select.from).map((item) => this.tableWithJoins(item));
    if (from.length > 0) text.push(`FROM ${from.join(", ")}`);
    if (isNode(select.selection)) text.push(`WHERE ${this.#filter(select.selection)}`);
    text.push(this.#groupBy(select.group_by));
    if (isNode(select.having)) text.push(`HAVING ${this.expression(select.having)}`);
    const windows = Array.isArray(select.named_window) ? select.named_window : [];
    if (windows.length > 0) text.push(`WINDOW ${windows.map((window) => this.#namedWindow(window)).join(", ")}`);
    if (isNode(select.qualify)) text.push(`${this.#only("QUALIFY")} ${this.expression(select.qualify)}`);
    return text.filter((part) => part !== "").join(" ");
  }

  /** Whether it is a WHERE that is printed: files are pruned by its plain comparisons. */
  get inFilter(): boolean {
    return this.#inFilter;
  }

  #filter(condition: Node): string {
    const outer = this.#inFilter;
    this.#inFilter = true;
    const text = this.expression(condition);
    this.#inFilter = outer;
    return text;
  }

  /** @throws Refused where the dialect has no such words. */
  #only(words: string): string {
    if (this.rules.without?.has(words)) throw unsupported(words);
    return words;
  }

  #distinct(distinct: unknown): string {
    if (distinct === null || distinct === undefined) return "";
    if (distinct === "Distinct") return "DISTINCT";
    if (isNode(distinct) && Array.isArray(distinct.On))
      return `${this.#only("DISTINCT ON")} (${this.list(distinct.On)})`;
    throw unsupported("this kind of DISTINCT");
  }

  #projected(item: Node): string {
    if ("UnnamedExpr" in item) return this.expression(item.UnnamedExpr);
    const aliased = kind(item, "ExprWithAlias");
    if (aliased) return `${this.expression(aliased.expr)} AS ${this.identifier(aliased.alias)}`;
    const wildcard = kind(item, "Wildcard");
    if (wildcard) return `*${this.#wildcardOptions(wildcard)}`;
    const qualified = item.QualifiedWildcard;
    if (Array.isArray(qualified)) {
      const name = isNode(qualified[0]) ? qualified[0].ObjectName : undefined;
      const parts = objectParts(name);
      return `${quoted(parts.at(-1) ?? "")}.*${isNode(qualified[1]) ? this.#wildcardOptions(qualified[1]) : ""}`;
    }
    throw unsupported(kindOf(item));
  }

  #wildcardOptions(options: Node): string {
    onlyParts(options, ["wildcard_token", "opt_exclude"], "wildcard");
    const excluded = kind(options, "opt_exclude");
    if (!excluded) return "";
    const names = Array.isArray(excluded.Multiple) ? excluded.Multiple : [excluded.Single];
    return ` ${this.#only("EXCLUDE")} (${names.map((name) => objectParts(name).map(quoted).join(".")).join(", ")})`;
  }

  tableWithJoins(item: Node): string {
    const joins = nodes(item.joins).map((join) => this.#join(join));
    return [this.relation(needed(item, "relation")), ...joins].join(" ");
  }

  #join(join: Node): string {
    const operator = join.join_operator;
    const name = isNode(operator) ? (Object.keys(operator)[0] ?? "") : String(operator);
    const words = JOINS[name];
    if (words === undefined) throw unsupported(`${name} join`);
    const constraint = isNode(operator) ? operator[name] : undefined;
    const relation = this.relation(needed(join, "relation"));
    if (constraint === "Natural") return `NATURAL ${words} ${relation}`;
    if (isNode(constraint) && "On" in constraint) return `${words} ${relation} ON ${this.expression(constraint.On)}`;
    if (isNode(constraint) && Array.isArray(constraint.Using)) {
      const names = constraint.Using.map((column) => objectParts(column).map(quoted).join("."));
      return `${words} ${relation} USING (${names.join(", ")})`;
    }
    return `${words} ${relation}`;
  }

  relation(factor: Node): string {
    const own = this.rules.relation?.(factor, this);
    if (own !== undefined) return own;
    const table = kind(factor, "Table");
    if (table) return this.#table(table);
    const derived = kind(factor, "Derived");
    if (derived) {
      onlyParts(derived, ["lateral", "subquery", "alias"], "subquery in FROM");
      const lateral = derived.lateral === true ? "LATERAL " : "";
      return `${lateral}(${this.query(needed(derived, "subquery"))})${this.as(kind(derived, "alias"))}`;
    }
    const nested = kind(factor, "NestedJoin");
    if (nested) return `(${this.tableWithJoins(needed(nested, "table_with_joins"))})${this.as(kind(nested, "alias"))}`;
    throw unsupported(`${kindOf(factor)} in FROM`);
  }

  #table(table: Node): string {
    onlyParts(table, ["name", "alias", "args", "with_ordinality"], "table");
    if (table.with_ordinality === true) throw unsupported("WITH ORDINALITY");
    const parts = objectParts(table.name);
    const alias = kind(table, "alias");
    const args = kind(table, "args");
    if (args) {
      const list = nodes(args.args).map((argument) => this.argument(argument));
      return `${parts.join(".")}(${list.join(", ")})${this.as(alias)}`;
    }
    if (parts.length === 1 && this.isCte(parts[0]!)) return `${quoted(parts[0]!)}${this.as(alias)}`;
    const own = this.rules.table(parts, this);
    if (!own) return `${parts.map(quoted).join(".")}${this.as(alias)}`;
    return `${own.text}${alias ? this.as(alias) : own.text === own.name ? "" : ` AS ${quoted(own.name)}`}`;
  }

  as(alias: Node | null): string {
    return alias ? ` AS ${this.alias(alias)}` : "";
  }

  /** `t`, or `t (a, b)`. */
  alias(alias: Node | null): string {
    if (!alias) throw unsupported("this alias");
    const columns = nodes(alias.columns).map((column) => this.identifier(column.name));
    return `${this.identifier(alias.name)}${columns.length > 0 ? ` (${columns.join(", ")})` : ""}`;
  }

  #groupBy(clause: unknown): string {
    if (isNode(clause) && "All" in clause) return this.#only("GROUP BY ALL");
    const expressions = isNode(clause) && Array.isArray(clause.Expressions) ? clause.Expressions[0] : [];
    return Array.isArray(expressions) && expressions.length > 0 ? `GROUP BY ${this.list(expressions)}` : "";
  }

  #orderBy(clause: Node | null): string {
    if (!clause) return "";
    const by = clause.kind;
    if (isNode(by) && "All" in by) return `${this.#only("ORDER BY ALL")}${this.#direction(by.All)}`;
    return isNode(by) && Array.isArray(by.Expressions) ? `ORDER BY ${this.sorting(by.Expressions)}` : "";
  }

  sorting(items: unknown): string {
    return nodes(items)
      .map((item) => `${this.expression(item.expr)}${this.#direction(item.options)}`)
      .join(", ");
  }

  #direction(options: unknown): string {
    if (!isNode(options)) return "";
    const order = options.asc === true ? " ASC" : options.asc === false ? " DESC" : "";
    const empty = options.nulls_first === true ? " NULLS FIRST" : options.nulls_first === false ? " NULLS LAST" : "";
    return order + empty;
  }

  #limit(clause: Node | null): string {
    const both = kind(clause, "LimitOffset");
    if (!both) return "";
    const offset = kind(both, "offset");
    // Trino wants OFFSET first; the others do not mind.
    const text = offset ? [`OFFSET ${this.expression(offset.value)}`] : [];
    if (isNode(both.limit)) text.push(`LIMIT ${this.expression(both.limit)}`);
    return text.join(" ");
  }

  #fetch(fetch: Node | null): string {
    if (!fetch) return "";
    if (fetch.with_ties === true || fetch.percent === true) throw unsupported("FETCH … WITH TIES");
    return `LIMIT ${isNode(fetch.quantity) ? this.expression(fetch.quantity) : "1"}`;
  }

  list(items: unknown): string {
    return nodes(items)
      .map((item) => this.expression(item))
      .join(", ");
  }

  expression(expression: unknown): string {
    if (!isNode(expression)) throw unsupported(String(expression));
    const own = this.rules.expression?.(expression, this);
    if (own !== undefined) return own;
    const [name = ""] = Object.keys(expression);
    const print = EXPRESSIONS[name];
    if (!print) throw unsupported(name);
    return print(expression[name] as Node, this);
  }

  call(call: Node): string {
    const parts = objectParts(call.name);
    const name = parts.at(-1)?.toLowerCase() ?? "";
    return this.rules.call(name, call, this) ?? this.plainCall(name, call);
  }

  /** @param name what it is called there. */
  plainCall(name: string, call: Node, args = this.args(call)): string {
    // `current_date` is a call without brackets.
    return call.args === "None" ? name : `${name}(${this.#arguments(call, args)})${this.afterCall(call)}`;
  }

  /** Texts of the arguments, by position. */
  args(call: Node): string[] {
    return nodes(kind(call.args, "List")?.args).map((argument) => this.argument(argument));
  }

  #arguments(call: Node, args: readonly string[]): string {
    const list = kind(call.args, "List");
    const distinct = list?.duplicate_treatment === "Distinct" ? "DISTINCT " : "";
    const within = nodes(call.within_group);
    const clauses = nodes(list?.clauses).map((clause) => {
      if (Array.isArray(clause.OrderBy)) return ` ORDER BY ${this.sorting(clause.OrderBy)}`;
      if (isNode(clause.Limit)) return ` LIMIT ${this.expression(clause.Limit)}`;
      throw unsupported(`${kindOf(clause)} inside a call`);
    });
    if (within.length > 0) clauses.push(` ORDER BY ${this.sorting(within)}`);
    return `${distinct}${args.join(", ")}${clauses.join("")}`;
  }

  /** FILTER and OVER. */
  afterCall(call: Node): string {
    const filter = isNode(call.filter) ? ` FILTER (WHERE ${this.expression(call.filter)})` : "";
    // Only engines of its own dialect take it.
    if (call.null_treatment === "IgnoreNulls") throw unsupported("IGNORE NULLS");
    if (!isNode(call.over)) return filter;
    const named = kind(call.over, "NamedWindow");
    const spec = kind(call.over, "WindowSpec");
    return `${filter} OVER ${named ? this.identifier(named) : `(${this.#window(spec)})`}`;
  }

  #namedWindow(window: unknown): string {
    const [name, of] = Array.isArray(window) ? window : [];
    return `${this.identifier(name)} AS (${this.#window(kind(of, "WindowSpec"))})`;
  }

  #window(spec: Node | null): string {
    if (!spec) throw unsupported("this window");
    const text: string[] = [];
    if (isNode(spec.window_name)) text.push(this.identifier(spec.window_name));
    if (nodes(spec.partition_by).length > 0) text.push(`PARTITION BY ${this.list(spec.partition_by)}`);
    if (nodes(spec.order_by).length > 0) text.push(`ORDER BY ${this.sorting(spec.order_by)}`);
    const frame = kind(spec, "window_frame");
    if (frame) {
      const [start, end] = [frame.start_bound, frame.end_bound].map((bound) => this.#bound(bound));
      text.push(`${String(frame.units).toUpperCase()} ${end ? `BETWEEN ${start} AND ${end}` : start}`);
    }
    return text.join(" ");
  }

  #bound(bound: unknown): string | null {
    if (bound === null || bound === undefined) return null;
    if (bound === "CurrentRow") return "CURRENT ROW";
    if (!isNode(bound)) throw unsupported("this frame");
    const [side = ""] = Object.keys(bound);
    const by = bound[side];
    return `${isNode(by) ? this.expression(by) : "UNBOUNDED"} ${side.toUpperCase()}`;
  }

  argument(argument: Node): string {
    const named = kind(argument, "Named");
    const value = named ? named.arg : argument.Unnamed;
    if (value === "Wildcard") return "*";
    if (isNode(value) && isNode(value.Expr)) {
      const text = this.expression(value.Expr);
      return named ? `${this.identifier(named.name)} := ${text}` : text;
    }
    throw unsupported("this argument");
  }

  identifier(ident: unknown): string {
    if (!isNode(ident) || typeof ident.value !== "string") throw unsupported("this name");
    return ident.quote_style === null || ident.quote_style === undefined ? ident.value : inQuotes(ident.value);
  }
}

function needed(node: Node, part: string): Node {
  const inner = kind(node, part);
  if (!inner) throw unsupported(`this ${part}`);
  return inner;
}

const aliasName = (cte: Node): string => String(kind(kind(cte, "alias"), "name")?.value ?? "");

/** @throws Refused where the node has something in another part. */
function onlyParts(node: Node, parts: readonly string[], what: string): void {
  for (const [part, value] of Object.entries(node)) {
    const isEmpty =
      value === null || value === undefined || value === false || (Array.isArray(value) && value.length === 0);
    if (!isEmpty && !parts.includes(part)) throw unsupported(`${part.replaceAll("_", " ")} in a ${what}`);
  }
}

const SELECT_PARTS =
  "select_token distinct projection from selection group_by having named_window qualify window_before_qualify flavor".split(
    " ",
  );

const JOINS: Readonly<Record<string, string>> = {
  Join: "JOIN",
  Inner: "INNER JOIN",
  Left: "LEFT JOIN",
  LeftOuter: "LEFT JOIN",
  Right: "RIGHT JOIN",
  RightOuter: "RIGHT JOIN",
  FullOuter: "FULL JOIN",
  CrossJoin: "CROSS JOIN",
};
