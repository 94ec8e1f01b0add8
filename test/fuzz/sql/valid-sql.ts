/** Statements by a grammar: mostly sound, of every shape that the planner and DuckDB read, types left to luck. */
import { EVENT_COLUMNS } from "../../../r2-layout/event-columns.ts";
import type { Random } from "../../../scripts/demo/random.ts";
import { FUNCTIONS } from "../../../workers/query/plan/allowed-functions.ts";

const COLUMNS = Object.keys(EVENT_COLUMNS);
const FUNCTION_NAMES = [...FUNCTIONS];
const TYPES =
  "integer bigint double varchar timestamp date boolean decimal(10,2) interval varchar[] hugeint time blob".split(" ");
const BINARY = "+ - * / % || = <> < > <= >= and or like ilike ~ is_distinct & | << ^ // -> ".trim().split(" ");
const AGGREGATES =
  "count sum min max avg median mode first last stddev array_agg string_agg approx_count_distinct histogram".split(" ");
const LITERALS = [
  "1",
  "0",
  "-7",
  "2.5",
  "1e308",
  "9223372036854775807",
  "170141183460469231731687303715884105727",
  "''",
  "'page'",
  "'😀'",
  "'2026-11-20'",
  "null",
  "true",
  "[1, 2]",
  "['a']",
  "{'a': 1}",
  "map(['k'], ['v'])",
  "date '2026-11-20'",
  "timestamp '2026-11-20 01:02:03.456789'",
  "interval 3 day",
  "interval '1' month",
  "now()",
];

export function validSql(random: Random): string {
  return new Grammar(random).query(random.int(1, 3));
}

class Grammar {
  readonly #random: Random;
  #names = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  query(depth: number): string {
    const parts: string[] = [];
    const ctes: string[] = [];
    if (depth > 1 && this.#random.chance(0.2)) {
      const name = `c${this.#names++}`;
      ctes.push(name);
      const recursive = this.#random.chance(0.1);
      const body = recursive ? `select 1 as a union all select a + 1 from ${name} where a < 5` : this.query(depth - 1);
      parts.push(`with ${recursive ? "recursive " : ""}${name} as (${body})`);
    }
    parts.push(this.#select(depth, ctes));
    if (depth > 1 && this.#random.chance(0.1)) {
      parts.push(
        this.#random.pick(["union", "union all", "except", "intersect", "union all by name"]),
        this.#select(depth - 1, ctes),
      );
    }
    if (this.#random.chance(0.3))
      parts.push(`order by ${this.#random.pick(["1", "all", "1 desc nulls last", this.expression(1)])}`);
    parts.push(`limit ${this.#random.int(1, 50)}`);
    if (this.#random.chance(0.05)) parts.push(`offset ${this.#random.int(0, 9)}`);
    return parts.join(" ");
  }

  #select(depth: number, ctes: readonly string[]): string {
    const parts = ["select"];
    if (this.#random.chance(0.1)) parts.push("distinct");
    const grouped = this.#random.chance(0.3);
    const columns = grouped
      ? [this.expression(1), `${this.#random.pick(AGGREGATES)}(${this.expression(depth - 1)})`]
      : Array.from({ length: this.#random.int(1, 4) }, () => (this.#random.chance(0.1) ? "*" : this.expression(depth)));
    parts.push(columns.map((column) => (this.#random.chance(0.2) ? `${column} as "x y"` : column)).join(", "));
    if (this.#random.chance(0.85)) parts.push("from", this.#from(depth, ctes));
    if (this.#random.chance(0.4)) parts.push("where", this.expression(depth));
    if (grouped)
      parts.push(
        this.#random.pick(["group by 1", "group by all", "group by rollup (1)", "group by grouping sets ((1), ())"]),
      );
    if (grouped && this.#random.chance(0.2)) parts.push("having count(*) > 1");
    if (this.#random.chance(0.05)) parts.push("qualify row_number() over (order by 1) < 4");
    return parts.join(" ");
  }

  #from(depth: number, ctes: readonly string[]): string {
    const one = (): string => {
      const roll = this.#random.next();
      if (roll < 0.5) return this.#random.pick(["events", "events e", "quarantine", 'events as "E"']);
      if (roll < 0.6 && ctes.length > 0) return this.#random.pick(ctes);
      if (roll < 0.75 && depth > 1) return `(${this.query(depth - 1)}) s${this.#names++}`;
      if (roll < 0.85) return `range(${this.#random.int(0, 200)}) r${this.#names++}`;
      if (roll < 0.95) return `unnest([1, 2, 3]) u${this.#names++}`;
      return "(values (1, 'a'), (2, 'b')) v(a, b)";
    };
    if (!this.#random.chance(0.2)) return one();
    const join = this.#random.pick([
      "join",
      "left join",
      "full join",
      "semi join",
      "anti join",
      "natural join",
      "asof join",
    ]);
    return `${one()} ${join} ${one()} on ${this.#random.pick(["1 = 1 and false", "a.user_id = b.user_id", "true"])}`;
  }

  expression(depth: number): string {
    const random = this.#random;
    if (depth <= 0 || random.chance(0.6)) return random.chance(0.7) ? random.pick(COLUMNS) : random.pick(LITERALS);
    const inner = () => this.expression(depth - 1);
    switch (random.int(0, 12)) {
      case 0:
      case 1:
      case 2:
        return `${random.pick(FUNCTION_NAMES)}(${Array.from({ length: random.int(0, 3) }, inner).join(", ")})`;
      case 3:
        return `(${inner()} ${random.pick(BINARY)} ${inner()})`;
      case 4:
        return `${random.pick(["cast", "try_cast"])}(${inner()} as ${random.pick(TYPES)})`;
      case 5:
        return `case when ${inner()} then ${inner()} else ${inner()} end`;
      case 6:
        return `${random.pick(AGGREGATES)}(${inner()}) over (partition by ${inner()} order by ${inner()})`;
      case 7:
        return `${inner()} ${random.pick(["in", "not in"])} (${inner()}, ${inner()})`;
      case 8:
        return `(${inner()} between ${inner()} and ${inner()})`;
      case 9:
        return `(${this.query(1)})`;
      case 10:
        return `properties['${random.pick(["sku", "price", "'' or 1", "größe 😀"])}'][1]`;
      case 11:
        return `list_transform(flags, x -> ${random.pick(["x", "x || 'a'", "upper(x)", inner()])})`;
      default:
        return `${random.pick(["not", "-", "+", "~"])} (${inner()})`;
    }
  }
}
