/** What somebody would write who wants a file, a host, a setting, another's rows, or a crash. */
import type { Random } from "../../../scripts/demo/random.ts";

/** Objects of the bucket besides the tables, and what a file system or a catalog might hold. */
export const OUTSIDE = [
  "secret.csv",
  "secret.parquet",
  "/etc/passwd",
  "file:///etc/passwd",
  "../secret.csv",
  "https://example.com/x.parquet",
  "s3://eventpile/secret.parquet",
  "r2://eventpile/secret.parquet",
  "*",
  "lake/events/fresh/*",
  "probe-now.csv",
  "__KEY__",
];

const RELATIONS = [
  "'$F'",
  '"$F"',
  "read_csv('$F')",
  "read_csv_auto('$F', header=false)",
  "read_parquet('$F')",
  "read_parquet(['$F', '$F'])",
  "parquet_scan('$F')",
  "parquet_metadata('$F')",
  "parquet_schema('$F')",
  "read_json_auto('$F')",
  "read_text('$F')",
  "read_blob('$F')",
  "sniff_csv('$F')",
  "glob('$F')",
  "arrow_scan_dumb(1, 2, 3)",
  "sqlite_scan('$F', 'events')",
  "postgres_scan('$F', 'public', 'x')",
  "query('select 1')",
  "query_table('events')",
  "duckdb_settings()",
  "duckdb_tables()",
  "duckdb_functions()",
  "duckdb_extensions()",
  "duckdb_views()",
  "duckdb_secrets()",
  "duckdb_memory()",
  "duckdb_temporary_files()",
  "pragma_database_list()",
  "pragma_table_info('events')",
  "pragma_version()",
  "information_schema.tables",
  "sqlite_master",
  "pg_catalog.pg_class",
  "main.events",
  "temp.events",
  "memory.main.events",
  "system.main.duckdb_tables",
  '"information_schema"."tables"',
  "test_all_types()",
  "repeat_row(1, num_rows=3)",
  "seq_scan('events')",
  "summary('events')",
  "index_scan('x')",
  "checkpoint()",
  "force_checkpoint()",
  "json_execute_serialized_sql('x')",
  "from_substrait('x')",
  "events('$F')",
  "range(999999999999)",
];

const CALLS = [
  "current_setting('memory_limit')",
  "getenv('HOME')",
  "current_database()",
  "current_schemas(true)",
  "current_user",
  "session_user",
  "version()",
  "current_query()",
  "txid_current()",
  "nextval('x')",
  "currval('x')",
  "setseed(0.5)",
  "pg_read_file('$F')",
  "read_text('$F')",
  "has_table_privilege('events', 'select')",
  "json_serialize_sql('select 1')",
  "getvariable('x')",
  "write_log('x')",
  "error('x')",
  "sql_auto_complete('x')",
  "main.upper('x')",
  "\"read_csv\"('$F')",
  "system.main.upper('a')",
  "pg_catalog.current_setting('memory_limit')",
];

const COMMANDS = [
  "copy events to '$F'",
  "copy (select * from events) to '$F' (format parquet)",
  "copy events from '$F'",
  "attach '$F' as x",
  "detach memory",
  "use memory",
  "install httpfs",
  "load httpfs",
  "load '$F'",
  "set memory_limit='10GB'",
  "set global threads=9",
  "reset memory_limit",
  "pragma memory_limit='10GB'",
  "pragma database_list",
  "export database '$F'",
  "import database '$F'",
  "call pragma_version()",
  "prepare p as select 1",
  "execute p",
  "execute p(1, 'x')",
  "deallocate p",
  "create table t as select 1",
  "create or replace temp view events as select 1",
  "create macro upper(x) as 'y'",
  "create secret s (type s3)",
  "drop view events",
  "insert into events values (1)",
  "delete from events",
  "update events set user_id = 'x'",
  "truncate events",
  "alter table events add column x int",
  "vacuum",
  "checkpoint",
  "begin transaction",
  "commit",
  "rollback",
  "explain select 1",
  "explain analyze select * from events",
  "describe events",
  "describe select 1",
  "show tables",
  "show all tables",
  "summarize events",
  "pivot events on event_name",
  "unpivot events on user_id",
  "comment on table events is 'x'",
  "grant all on events to x",
  "kill 1",
  "lock table events",
  "listen x",
  "declare c cursor for select 1",
  "values (1), (2)",
  "table events",
  "from events",
  "from '$F'",
];

const FRAMES = [
  "$X",
  "$X; $X",
  "select 1; $X",
  "$X;",
  ";$X",
  "/* a */ $X",
  "-- a\n$X",
  "-- a\r$X",
  "/* /* */ $X */ select 1",
  "select 1 /* ' */ ; $X -- '",
  "select * from ($X)",
  "select * from ($X) t",
  "with x as ($X) select * from x",
  "with x as materialized ($X) select * from x",
  "select ($X)",
  "select exists ($X)",
  "select 1 union all ($X)",
  "select * from events where user_id in ($X)",
  "select case when 1 then 1 end; $X",
  "select 1 end $X",
  "select $$ $X $$",
  "select $a$ $X $a$",
  "select E'\\'' ; $X --'",
  "select U&'\\0027' ; $X --'",
  "select '\\'; $X --'",
  'select "a""; $X --"',
  "select `$X`",
  "select [$X]",
  "explain $X",
  "prepare p as $X",
  "execute immediate '$X'",
  "$X\0",
  "\ufeff$X",
  "\u00a0$X",
  "select\u2028*\u3000from $X",
];

const FROM_FRAMES = [
  "select * from $R",
  "from $R",
  "select * from $R limit 3",
  "select * from events, $R",
  "select * from events join $R on true",
  "select * from events, lateral (select * from $R)",
  "with events as (select * from $R) select * from events",
  "with $R as (select 1) select * from $R",
  "select (select count(*) from $R)",
  "select * from (select * from (select * from $R))",
  "select * from events where exists (select 1 from $R)",
  "select * from events positional join $R",
  "select * from events asof join $R using (event_time)",
  "select * from ($R)",
  "select * from $R as events",
  "select events from $R events",
  "select x from $R t(x)",
  "select * from $R tablesample 10%",
  "select unnest((select list(t) from $R t))",
  "table $R",
  "select 1 union select * from $R",
  "select * from events order by (select 1 from $R)",
  "select count(*) filter (where 1 in (select 1 from $R)) from events",
  "pivot $R on 1",
  "select * from $R for system_time as of now()",
  "select * exclude (user_id) from $R",
  "select columns(*) from $R",
];

export function hostileSql(random: Random): string {
  const file = random.pick(OUTSIDE);
  const relation = () => random.pick(RELATIONS);
  const roll = random.next();
  let text: string;
  if (roll < 0.45) text = random.pick(FROM_FRAMES).replaceAll("$R", relation());
  else if (roll < 0.65)
    text = `select ${random.pick(CALLS)} ${random.pick(["", "from events limit 1", "from range(2)"])}`;
  else text = random.pick(FRAMES).replaceAll("$X", () => random.pick(COMMANDS));
  if (random.chance(0.2)) text = random.pick(FRAMES).replaceAll("$X", () => text);
  return text.replaceAll("$F", file);
}

/** Near the bounds of length, depth and width, on both sides. */
export function hugeSql(random: Random): string {
  const some = (about: number) => Math.max(1, Math.round(about * (0.5 + random.next())));
  const of = (text: string, about: number, between = "") =>
    Array.from({ length: some(about) }, () => text).join(between);
  switch (random.int(0, 15)) {
    case 0:
      return `select ${"(".repeat(some(60))}1${")".repeat(some(60))}`;
    case 1: {
      const depth = some(58);
      return `select ${"(".repeat(depth)}1${")".repeat(depth)}`;
    }
    case 2:
      return `select 1${of(" + 1", 200)}`;
    case 3:
      return `select ${of("1", 4_000, ",")}`;
    case 4:
      return `select '${of("x", 60_000)}'`;
    case 5:
      return `select 1 as "${of("y", 50_000)}"`;
    case 6:
      return `select * from events where user_id in (${of("'a'", 4_500, ",")})`;
    case 7:
      return `select 1 ${of("union select 1 ", 190)}`;
    case 8: {
      const depth = some(40);
      return `${"select * from (".repeat(depth)}select 1${")".repeat(depth)}`;
    }
    case 9:
      return `select ${of("case when 1 then ", 100)}1${of(" else 2 end", 100)}`;
    case 10:
      return `select ${of("not ", 190)}true`;
    case 11:
      return `with ${Array.from({ length: some(200) }, (_, i) => `c${i} as (select ${i === 0 ? "1 a" : `* from c${i - 1}`})`).join(", ")} select * from c1`;
    case 12:
      return `select * from events ${Array.from({ length: some(20) }, (_, i) => `join (select 1 a${i}) t${i} on true`).join(" ")} limit 1`;
    case 13:
      return `select ${of("[", 40)}1${of("]", 40)}`;
    case 14:
      return `select ${of("lower(", 50)}'x'${of(")", 50)}`;
    default:
      return `select repeat('x', ${10 ** random.int(3, 12)}), range(${10 ** random.int(1, 9)}), lpad('', ${10 ** random.int(2, 10)}, 'y')`;
  }
}
