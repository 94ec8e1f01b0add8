/** A grammar of statements over `events`: filters of every kind that the planner reads, wherever a filter can stand. */
import fc from "fast-check";

const TEXTS: Record<string, readonly string[]> = {
  event_name: ["page", "Product Viewed", "Order Completed", "identify", "nothing", "Page"],
  country: ["DE", "FR", "US", "XX"],
  device_type: ["desktop", "mobile"],
  user_id: ["user-77", "user-1", "user-40", "nobody"],
  anonymous_id: ["device-77", "device-3", "nobody"],
  city: ["München", "Bonn"],
  page_path: ["/", "/cart", "/日本", "/😀"],
};
const NUMBERS: Record<string, readonly string[]> = {
  revenue: ["0", "100", "-1.5", "57.25", "1e3"],
  contract_version: ["3", "2", "3.0"],
  log_seq: ["1", "2", "3", "99"],
  log_shard: ["0", "1"],
};
const TIMES = [
  "'2026-11-20'",
  "'2026-11-21 06:30:00'",
  "timestamp '2026-11-21 12:00:00.000001'",
  "date '2026-11-22'",
  "timestamp '2026-11-20' + interval '36 hours'",
  "timestamp '2026-12-22' - interval 1 month",
  "'2026-11-23'::timestamp",
  "cast('2026-11-22' as date)",
  "date_trunc('day', timestamp '2026-11-21 17:00:00')",
  "date '2026-11-24' - 2",
  "timestamp '2030-01-01'",
];
/** The engine's DuckDB and today's differ about a date beside a text with a time of day. */
const TEXT_OF_DAY = /^'[^']* /;
const BOUNDS = TIMES.filter((time) => !TEXT_OF_DAY.test(time));
const COMPARISONS = ["=", "<", "<=", ">", ">=", "<>"];

/** `%` stands for the prefix of a column: empty, or an alias and a dot. */
const text = fc.constantFrom(...Object.keys(TEXTS)).chain((column) => {
  const value = fc.constantFrom(...TEXTS[column]!).map((literal) => `'${literal}'`);
  return fc.oneof(
    { weight: 4, arbitrary: value.map((literal) => `%${column} = ${literal}`) },
    value.map((literal) => `${literal} = %${column}`),
    value.map((literal) => `%${column} <> ${literal}`),
    value.map((literal) => `lower(%${column}) = lower(${literal})`),
    value.map((literal) => `%${column} >= ${literal}`),
    fc.array(value, { minLength: 1, maxLength: 3 }).map((literals) => `%${column} in (${literals.join(", ")})`),
    fc.array(value, { minLength: 1, maxLength: 2 }).map((literals) => `%${column} not in (${literals.join(", ")})`),
    fc.constantFrom("is null", "is not null").map((test) => `%${column} ${test}`),
    fc.constant(`%${column} like '%a%'`.replace("like '%", "like '\u0001").replaceAll("a%'", "a\u0001'")),
  );
});
const number = fc.constantFrom(...Object.keys(NUMBERS)).chain((column) => {
  const value = fc.constantFrom(...NUMBERS[column]!);
  return fc.oneof(
    { weight: 3, arbitrary: value.map((literal) => `%${column} = ${literal}`) },
    fc.tuple(fc.constantFrom(...COMPARISONS), value).map(([op, literal]) => `%${column} ${op} ${literal}`),
    fc.array(value, { minLength: 1, maxLength: 3 }).map((literals) => `%${column} in (${literals.join(", ")})`),
    fc.tuple(value, value).map(([low, high]) => `%${column} between ${low} and ${high}`),
    fc.constantFrom("is null", "is not null").map((test) => `%${column} ${test}`),
  );
});
const timeSide = fc.constantFrom(
  "%event_time",
  "%event_time",
  "%event_time",
  "%event_time::date",
  "cast(%event_time as timestamp)",
  "date_trunc('hour', %event_time)",
  "date_trunc('day', %event_time)",
  "date_trunc('week', %event_time)",
  "%received_at",
);
const time = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(timeSide, fc.constantFrom(...COMPARISONS), fc.constantFrom(...TIMES))
      .map(
        ([side, op, at]) => `${side} ${op} ${side.endsWith("::date") ? at.replace(TEXT_OF_DAY, "timestamp $&") : at}`,
      ),
  },
  fc.tuple(fc.constantFrom(...TIMES.slice(2, 5)), fc.constantFrom("<", ">="), timeSide).map((parts) => parts.join(" ")),
  fc
    .tuple(timeSide, fc.constantFrom(...BOUNDS), fc.constantFrom(...BOUNDS))
    .map(([side, a, b]) => `${side} between ${a} and ${b}`),
  fc.constant("%event_time - interval 1 day > timestamp '2026-11-20'"),
  fc.constant("year(%event_time) = 2026"),
);

const { predicate } = fc.letrec<{ predicate: string }>((tie) => ({
  predicate: fc.oneof(
    { maxDepth: 3, depthIdentifier: "predicate" },
    { weight: 4, arbitrary: fc.oneof(text, number, time, time) },
    { weight: 3, arbitrary: fc.tuple(tie("predicate"), tie("predicate")).map(([a, b]) => `${a} and ${b}`) },
    { weight: 2, arbitrary: fc.tuple(tie("predicate"), tie("predicate")).map(([a, b]) => `(${a} or ${b})`) },
    { weight: 1, arbitrary: tie("predicate").map((a) => `not (${a})`) },
    { weight: 1, arbitrary: tie("predicate").map((a) => `coalesce(${a}, false)`) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(tie("predicate"), tie("predicate"))
        .map(([a, b]) => `case when ${a} then ${b} else false end`),
    },
  ),
}));

const under = (filter: string, alias: string): string =>
  filter.replaceAll("%", alias && `${alias}.`).replaceAll("\u0001", "%");

const AGGREGATES = "count(*) n, count(distinct event_id) d, min(event_time) a, max(event_time) b";
/** What may stand between a table and who reads it; `@` is the filter. Columns that a filter may name are all there. */
const INNER = [
  "select * from events where @",
  "select * from events where @",
  "select e.* from events e where @",
  "select *, lower(country) as small from events where @",
  "select distinct * from events where @",
  "select * from events where @ order by event_time desc, event_id limit 200",
  "select *, row_number() over (partition by country order by event_time, event_id) r from events where @",
  "select * from events where @ qualify row_number() over (partition by user_id order by event_time, event_id) = 1",
  "select * from events where @ union all select * from events where country = 'DE'",
  "select * exclude (event_time), event_time + interval 1 day as event_time from events where @",
  "select * exclude (country, event_time), upper(city) as country, received_at as event_time from events where @",
  "select * from (select * from events where @) i",
  "from events where @",
];
const inner = fc
  .tuple(fc.constantFrom(...INNER), predicate)
  .map(([shape, filter]) => shape.replace("@", shape.includes("events e") ? under(filter, "e") : under(filter, "")));

const JOINS = [
  "events a join events b on a.event_id = b.event_id",
  "events a join events b using (event_id)",
  "events a left join events b on a.event_id = b.event_id and b.country = 'DE'",
  "events b right join events a on a.event_id = b.event_id and b.event_time >= '2026-11-21'",
  "events a join (select event_id, country, event_time from events where event_name = 'page') b on a.event_id = b.event_id and b.event_time >= '2026-11-21'",
  "events a full join (select * from events where log_seq = 1) b on a.event_id = b.event_id",
];

export const statement: fc.Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: predicate.map((where) => `select ${AGGREGATES} from events where ${under(where, "")}`) },
  predicate.map((where) => `select country, ${AGGREGATES} from events e where ${under(where, "e")} group by 1`),
  fc.tuple(inner, predicate).map(([from, where]) => `select ${AGGREGATES} from (${from}) x where ${under(where, "x")}`),
  fc
    .tuple(inner, predicate)
    .map(([from, where]) => `with c as (${from}) select ${AGGREGATES} from c where ${under(where, "")}`),
  fc
    .tuple(inner, predicate, predicate)
    .map(
      ([from, one, two]) =>
        `with c as (${from}), d as (select * from c where ${under(one, "")}) select 1, ${AGGREGATES} from d where ${under(two, "d")} union all select 2, ${AGGREGATES} from c where ${under(two, "")}`,
    ),
  fc
    .tuple(fc.constantFrom(...JOINS), predicate)
    .map(
      ([from, where]) =>
        `select count(*) n, count(b.event_id) m, max(a.event_time) t from ${from} where ${under(where, "a")}`,
    ),
  predicate.map(
    (where) =>
      `select ${AGGREGATES} from events where user_id in (select user_id from events where ${under(where, "")})`,
  ),
  fc
    .tuple(predicate, predicate)
    .map(
      ([one, two]) =>
        `select ${AGGREGATES} from events a where exists (select 1 from events b where b.event_id = a.event_id and ${under(one, "b")}) and ${under(two, "a")}`,
    ),
  fc
    .tuple(predicate, predicate, fc.constantFrom("union", "except", "intersect", "union all"))
    .map(
      ([one, two, op]) =>
        `select count(*) from (select event_id from events where ${under(one, "")} ${op} select event_id from events where ${under(two, "")}) x`,
    ),
);
