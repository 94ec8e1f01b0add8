-- The largest of everything, and of each.

-- name: top pages
select page_path, count(*) n from events where event_name = 'page' group by 1 order by n desc, 1 limit 10;

-- name: top three pages of each day
select d, page_path, n from (
  select event_time::date d, page_path, count(*) n from events where event_name = 'page' group by 1, 2
) qualify row_number() over (partition by d order by n desc, page_path) <= 3 order by 1, 3 desc, 2;

-- name: a user's last events
select event_time, event_name, page_path, revenue from events where user_id = 'user-77' order by event_time desc, event_id limit 20;

-- name: largest orders
select event_id, user_id, revenue, currency, event_time from events where revenue is not null order by revenue desc, event_id limit 15;

-- name: users by revenue, with their share
select user_id, round(sum(revenue), 2) r, round(100 * sum(revenue) / sum(sum(revenue)) over (), 4) pct
from events where revenue > 0 and user_id is not null group by 1 order by r desc, 1 limit 10;

-- name: approximate and exact distinct users agree roughly
select abs(approx_count_distinct(user_id) - count(distinct user_id)) < 0.3 * count(distinct user_id) from events;

-- name: quantiles of revenue
select round(quantile_cont(revenue, 0.5), 4), round(quantile_cont(revenue, 0.95), 4), round(median(revenue), 4), mode(currency) from events;

-- name: revenue by day
select event_time::date d, count(*) n, round(sum(revenue), 2) r from events where event_name = 'Order Completed' group by 1 order by 1;

-- name: countries in columns
select event_time::date d, count(*) filter (where country = 'DE') de, count(*) filter (where country = 'FR') fr, count(*) filter (where country is null) nowhere
from events group by 1 order by 1;

-- name: totals beside parts
select country, device_type, count(*) n, grouping(country, device_type) g from events group by rollup (country, device_type) order by g, 1 nulls last, 2 nulls last;
