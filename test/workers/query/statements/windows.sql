-- Windows: running sums, moving averages, ranks, neighbours.

-- name: country and hour
select country, date_trunc('hour', event_time) h, count(*) n from events group by 1, 2 order by 1 nulls last, 2;

-- name: one day
select device_type, count(*) n from events where event_time >= '2026-10-26' and event_time < '2026-10-27' group by 1 order by 1;

-- name: running revenue
select d, round(sum(r) over (order by d), 2) from (select event_time::date d, sum(revenue) r from events group by 1) order by 1;

-- name: moving average of three days
select d, round(avg(n) over (order by d rows between 2 preceding and current row), 4) from (select event_time::date d, count(*) n from events group by 1) order by 1;

-- name: against the day before
select d, n, n - lag(n) over (order by d), round(100.0 * n / lag(n) over (order by d) - 100, 3) from (select event_time::date d, count(*) n from events group by 1) order by 1;

-- name: ranks of hours
select h, n, rank() over (order by n desc), dense_rank() over (order by n desc), ntile(4) over (order by n desc, h)
from (select extract(hour from event_time) h, count(*) n from events group by 1) order by 1;

-- name: first and last value of each device
select distinct anonymous_id, first_value(event_name) over w, last_value(country) over (w rows between unbounded preceding and unbounded following)
from events where event_time < '2026-10-25' window w as (partition by anonymous_id order by event_time, event_id) order by 1 limit 25;

-- name: outliers among hours
with h as (select date_trunc('hour', event_time) t, count(*) n from events group by 1), z as (select *, avg(n) over () m, stddev_samp(n) over () s from h)
select t, n, round((n - m) / s, 4) from z where abs(n - m) > 2 * s order by 1;
