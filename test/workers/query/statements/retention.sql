-- Retention: who comes back, and when.

-- name: daily active users
select event_time::date d, count(distinct user_id) u, count(distinct anonymous_id) a from events group by 1 order by 1;

-- name: weekly cohorts by days since the first
with first as (select user_id, min(event_time::date) d from events where user_id is not null group by 1),
  days as (select distinct user_id, event_time::date d from events where user_id is not null)
select first.d cohort, days.d - first.d n, count(*) u from days join first using (user_id) group by 1, 2 order by 1, 2;

-- name: back on the next day
with days as (select distinct user_id, event_time::date d from events where user_id is not null)
select a.d, count(*) u, count(b.user_id) back from days a left join days b on b.user_id = a.user_id and b.d = a.d + 1 group by 1 order by 1;

-- name: new, returning and resurrected
with days as (select distinct anonymous_id u, event_time::date d from events),
  seen as (select u, d, lag(d) over (partition by u order by d) p from days)
select d, case when p is null then 'new' when d - p = 1 then 'returning' else 'resurrected' end k, count(*) n from seen group by 1, 2 order by 1, 2;

-- name: active days of a user
select n, count(*) u from (select user_id, count(distinct event_time::date) n from events where user_id is not null group by 1) group by 1 order by 1;

-- name: longest streak of days
with days as (select distinct user_id, event_time::date d from events where user_id is not null),
  runs as (select user_id, d - (row_number() over (partition by user_id order by d))::integer g from days)
select max(n), round(avg(n), 4) from (select user_id, g, count(*) n from runs group by 1, 2);

-- name: share of monthly users that come daily
with m as (select count(distinct anonymous_id) n from events), d as (select event_time::date d, count(distinct anonymous_id) n from events group by 1)
select d.d, round(d.n * 1.0 / m.n, 6) from d, m order by 1;
