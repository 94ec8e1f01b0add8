-- Sessions: the sender's own, and those that half an hour of silence ends.

-- name: sessions with an order
select count(*), round(avg(n), 3) from (
  select session_id, count(*) n, max(case when event_name = 'Order Completed' then 1 else 0 end) o from events group by 1
) where o = 1;

-- name: sessions by silence
with gaps as (
  select anonymous_id, event_time, lag(event_time) over (partition by anonymous_id order by event_time, event_id) p
  from events where event_time < '2026-10-27'
)
select event_time::date d, count(*) filter (where p is null or event_time - p > interval 30 minute) sessions from gaps group by 1 order by 1;

-- name: length of sessions by silence
with gaps as (
  select anonymous_id, event_time, event_id, lag(event_time) over (partition by anonymous_id order by event_time, event_id) p
  from events where event_time < '2026-10-26'
), numbered as (
  select *, sum(case when p is null or event_time - p > interval 30 minute then 1 else 0 end) over (partition by anonymous_id order by event_time, event_id) n from gaps
), sessions as (select anonymous_id, n, count(*) c, date_diff('second', min(event_time), max(event_time)) s from numbered group by 1, 2)
select count(*), round(avg(c), 4), round(avg(s), 3), max(s) from sessions;

-- name: events of a session
select width, count(*) c from (select least(count(*), 20) width from events group by session_id) group by 1 order by 1;

-- name: landing and leaving pages
with pages as (
  select session_id, arg_min(page_path, event_time) l, arg_max(page_path, event_time) e from events where event_name = 'page' group by 1
)
select l, e, count(*) c from pages group by 1, 2 order by c desc, 1, 2 limit 20;

-- name: sessions of one page
select count(*) filter (where n = 1) bounced, count(*) total from (select session_id, count(*) filter (where event_name = 'page') n from events group by 1) where n > 0;

-- name: sessions that run at once
with ends as (
  select session_id, min(event_time) b, max(event_time) e from events where event_time >= '2026-10-28' and event_time < '2026-10-29' group by 1
), moves as (select b t, 1 m from ends union all select e, -1 from ends)
select max(n) from (select sum(m) over (order by t, m desc rows unbounded preceding) n from moves);
