-- Funnels: who came how far, how long it took, and where they were lost.

-- name: steps anybody took, in any order
select count(distinct user_id) filter (where event_name = 'page') seen,
  count(distinct user_id) filter (where event_name = 'Product Viewed') viewed,
  count(distinct user_id) filter (where event_name = 'Product Added') added,
  count(distinct user_id) filter (where event_name = 'Order Completed') ordered
from events;

-- name: steps in order, by first times
with firsts as (
  select session_id,
    min(case when event_name = 'Product Viewed' then event_time end) v,
    min(case when event_name = 'Product Added' then event_time end) a,
    min(case when event_name = 'Order Completed' then event_time end) o
  from events group by 1
)
select count(v), count(case when a > v then 1 end), count(case when a > v and o > a then 1 end) from firsts;

-- name: steps in order within an hour, by joins
with v as (select user_id, event_time t from events where event_name = 'Product Viewed' and user_id is not null and event_time < '2026-10-25'),
  a as (select user_id, event_time t from events where event_name = 'Product Added' and user_id is not null and event_time < '2026-10-25')
select count(distinct v.user_id), count(distinct a.user_id)
from v left join a on a.user_id = v.user_id and a.t > v.t and a.t <= v.t + interval 1 hour;

-- name: time from viewing to ordering
with s as (
  select session_id, min(event_time) filter (where event_name = 'Product Viewed') v, max(event_time) filter (where event_name = 'Order Completed') o
  from events group by 1
)
select count(*), median(date_diff('second', v, o)), quantile_disc(date_diff('second', v, o), 0.9), max(date_diff('minute', v, o))
from s where o > v;

-- name: what comes next after a view
select n, count(*) c from (
  select event_name, lead(event_name) over (partition by session_id order by event_time, event_id) n from events
) where event_name = 'Product Viewed' group by 1 order by c desc, 1 nulls last;

-- name: paths of three steps
select p, count(*) c from (
  select event_name || ' > ' || lead(event_name, 1) over w || ' > ' || lead(event_name, 2) over w p
  from events window w as (partition by session_id order by event_time, event_id)
) where p is not null group by 1 order by c desc, 1 limit 15;

-- name: conversion by country
with s as (select session_id, max(country) c, bool_or(event_name = 'Order Completed') o from events group by 1)
select c, count(*) n, count(*) filter (where o) orders, round(100.0 * count(*) filter (where o) / count(*), 2) pct from s group by 1 order by 1 nulls last;
