-- A table with itself, with lists and with what was computed before.

-- name: orders with the user's first page
with f as (select user_id, arg_min(page_path, event_time) p from events where event_name = 'page' and user_id is not null group by 1)
select f.p, count(*) orders, round(sum(o.revenue), 2) r from events o join f using (user_id) where o.event_name = 'Order Completed' group by 1 order by 1;

-- name: users who viewed and never ordered
select count(distinct v.user_id) from events v
where v.event_name = 'Product Viewed' and not exists (
  select 1 from events o where o.user_id = v.user_id and o.event_name = 'Order Completed' and o.event_time >= '2026-10-31');

-- name: in a subquery
select count(*) from events where session_id in (select session_id from events where revenue > 195);

-- name: a list of names joined
select n.name, count(e.event_id) c from (values ('page'), ('Order Completed'), ('never')) n(name) left join events e on e.event_name = n.name group by 1 order by 1;

-- name: every hour of a day, empty ones too
select h, count(e.event_id) c from range(0, 24) r(h) left join events e
  on extract(hour from e.event_time) = r.h and e.event_time >= '2026-10-29' and e.event_time < '2026-10-30' and e.event_name = 'identify' group by 1 order by 1;

-- name: union of two questions
select 'orders' k, count(*) n from events where event_name = 'Order Completed' union all select 'pages', count(*) from events where event_name = 'page' order by 1;

-- name: pairs of products in a session
with v as (select distinct session_id, properties['sku'][1] sku from events where event_name = 'Order Completed' and event_time < '2026-10-26' and properties is not null)
select a.sku, b.sku, count(*) c from v a join v b on a.session_id = b.session_id and a.sku < b.sku group by 1, 2 order by c desc, 1, 2 limit 10;

-- name: the last view before each order
select count(*), round(avg(gap), 3) from (
  select o.event_id, date_diff('second', max(v.event_time), any_value(o.event_time)) gap
  from events o join events v on v.session_id = o.session_id and v.event_name = 'Product Viewed' and v.event_time < o.event_time
  where o.event_name = 'Order Completed' and o.event_time < '2026-10-27' group by 1);
