-- Functions of our own, against what native DuckDB has, or against the same in plain SQL.

-- name: JSON of a property
select json_extract_string(properties, '$.address.city') c, count(*) n from events group by 1 order by 1 nulls last;
-- native:
select json_extract_string(case when json_valid(properties['address']) then properties['address'] end, '$.city') c, count(*) n from events group by 1 order by 1 nulls last;

-- name: JSON by operator and path
select properties->>'sku' s, properties->>'$.address.zip[0]' z, json_extract(properties, '$.address.geo') g, count(*) n from events group by 1, 2, 3 order by 4 desc, 1 nulls last, 2 nulls last, 3 nulls last limit 20;
-- native:
with a as (select properties['sku'] sku, case when json_valid(properties['address']) then properties['address'] end j from events)
select sku, j->>'$.zip[0]', (j->'$.geo')::varchar, count(*) n from a group by 1, 2, 3 order by 4 desc, 1 nulls last, 2 nulls last, 3 nulls last limit 20;

-- name: JSON of all kinds
select x, json_valid(x), json_type(x), json_array_length(x), json_keys(x), json_extract(x, '$[#-1]'), json_extract(x, '$.a'), x->>'$.a', x->>'/b/1', json_exists(x, '$.a')
from (values ('{"a": 1.5, "b": [true, "ü\u0041\n", null]}'), ('[1, {"a": 2} , "x"]'), ('"text"'), ('-12345678901'), ('12'), ('null'), ('{}'), ('{"a": null, "a": 2, "b c": {"": []}}')) v(x);
-- native:
select x, json_valid(x), json_type(x), json_array_length(x), json_keys(x), json_extract(x, '$[#-1]')::varchar, json_extract(x, '$.a')::varchar, x->>'$.a', x->>'/b/1', json_exists(x, '$.a')
from (values ('{"a": 1.5, "b": [true, "ü\u0041\n", null]}'), ('[1, {"a": 2} , "x"]'), ('"text"'), ('-12345678901'), ('12'), ('null'), ('{}'), ('{"a": null, "a": 2, "b c": {"": []}}')) v(x);

-- name: properties as JSON
select to_json(properties) j, count(*) n from events group by 1 order by 2 desc, 1 nulls last limit 10;
-- native:
select to_json(properties)::varchar j, count(*) n from events group by 1 order by 2 desc, 1 nulls last limit 10;

-- name: days in Berlin
select date_trunc('day', event_time at time zone 'UTC' at time zone 'Europe/Berlin')::date d, count(*) n from events group by 1 order by 1;

-- name: hours in New York, over the end of summer time
select extract(hour from to_timezone(event_time, 'America/New_York')) h, count(*) n, min(to_timezone(event_time, 'America/New_York')) from events where event_time >= '2026-11-01' group by 1 order by 1;
-- native:
select extract(hour from event_time at time zone 'UTC' at time zone 'America/New_York') h, count(*) n, min(event_time at time zone 'UTC' at time zone 'America/New_York') from events where event_time >= '2026-11-01' group by 1 order by 1;

-- name: offsets of many zones through two years
select z, i, to_timezone(timestamp '2025-01-01' + to_hours(i * 19), z) l from range(0, 900, 1) r(i), (values ('Europe/Berlin'), ('America/St_Johns'), ('Australia/Lord_Howe'), ('Asia/Kathmandu'), ('UTC'), ('Africa/Casablanca')) v(z) order by 1, 2;
-- native:
select z, i, (timestamp '2025-01-01' + to_hours((i * 19)::int)) at time zone 'UTC' at time zone z l from range(0, 900, 1) r(i), (values ('Europe/Berlin'), ('America/St_Johns'), ('Australia/Lord_Howe'), ('Asia/Kathmandu'), ('UTC'), ('Africa/Casablanca')) v(z) order by 1, 2;

-- name: local times around every change
select z, m, from_timezone(t + to_minutes(m), z) from (values ('Europe/Berlin', timestamp '2026-10-25 00:00:00'), ('Europe/Berlin', timestamp '2026-03-29 00:00:00'), ('America/New_York', timestamp '2026-11-01 00:00:00'), ('America/New_York', timestamp '2026-03-08 00:00:00'), ('Australia/Lord_Howe', timestamp '2026-04-05 00:00:00'), ('Australia/Lord_Howe', timestamp '2026-10-04 00:00:00')) v(z, t), range(0, 300, 15) r(m) order by 1, t, 2;
-- native:
select z, m, (t + to_minutes(m::int)) at time zone z at time zone 'UTC' from (values ('Europe/Berlin', timestamp '2026-10-25 00:00:00'), ('Europe/Berlin', timestamp '2026-03-29 00:00:00'), ('America/New_York', timestamp '2026-11-01 00:00:00'), ('America/New_York', timestamp '2026-03-08 00:00:00'), ('Australia/Lord_Howe', timestamp '2026-04-05 00:00:00'), ('Australia/Lord_Howe', timestamp '2026-10-04 00:00:00')) v(z, t), range(0, 300, 15) r(m) order by 1, t, 2;

-- name: a funnel of three steps within a day
with u as (
  select user_id, window_funnel(interval 1 day, event_time, case event_name when 'Product Viewed' then 1 when 'Product Added' then 2 when 'Order Completed' then 3 end) depth
  from events where user_id is not null and event_time < '2026-10-26' group by 1)
select count(*) users, count_if(depth >= 1) viewed, count_if(depth >= 2) added, count_if(depth >= 3) ordered from u;
-- native:
with e as (select user_id u, event_name n, event_time t from events where user_id is not null and event_time < '2026-10-26'),
  chains as (select distinct v.u, a.u a, o.u o from (select * from e where n = 'Product Viewed') v
    left join (select * from e where n = 'Product Added') a on a.u = v.u and a.t > v.t and a.t <= v.t + interval 1 day
    left join (select * from e where n = 'Order Completed') o on o.u = v.u and o.t > a.t and o.t <= v.t + interval 1 day)
select (select count(distinct u) from e) users, count(distinct u), count(distinct a), count(distinct o) from chains;

-- name: retention of the first days
with u as (select user_id, active_days(event_time) d from events where user_id is not null group by 1)
select d[1] cohort, count(*) users, count_if(returned(d, 1)) d1, count_if(returned(d, 7)) d7 from u group by 1 order by 1;
-- native:
with days as (select distinct user_id u, event_time::date d from events where user_id is not null), first as (select u, min(d) f from days group by 1)
select f, count(distinct u), count(distinct case when d = f + 1 then u end), count(distinct case when d = f + 7 then u end) from days join first using (u) group by 1 order by 1;

-- name: sessions of devices
select session_count n, count(*) c from (select session_count(event_time, interval 30 minute) session_count from events where event_time < '2026-10-26' group by anonymous_id) group by 1 order by 1;
-- native:
select n, count(*) c from (select count(*) filter (where p is null or event_time - p > interval 30 minute) n from (
  select anonymous_id, event_time, lag(event_time) over (partition by anonymous_id order by event_time, event_id) p from events where event_time < '2026-10-26') group by anonymous_id) group by 1 order by 1;

-- name: parts of addresses
select url_host(page_url) h, url_path(page_url) p, url_param(page_url, 'v') v, count(*) n from events where page_url is not null group by 1, 2, 3 order by 4 desc, 1, 2, 3 limit 20;
-- native:
select page_host, page_path, split_part(page_url, '?v=', 2), count(*) n from events where page_url is not null group by 1, 2, 3 order by 4 desc, 1, 2, 3 limit 20;
