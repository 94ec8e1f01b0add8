-- Properties, flags, JSON within.

-- name: a property
select properties['sku'][1] sku, count(*) n from events where event_name = 'Product Viewed' group by 1 order by 1 nulls last;

-- name: a property as a number
select round(avg(try_cast(properties['price'][1] as double)), 4), count(properties['price'][1]) from events;

-- name: keys and how often
select k, count(*) n from (select unnest(map_keys(properties)) k from events) group by 1 order by 1;

-- name: events with a key
select count(*) from events where list_contains(map_keys(properties), 'größe 😀');

-- name: flags
select flags, count(*) n from events group by 1 order by n desc, 1 nulls last;

-- name: flags one by one
select f, count(*) n from (select unnest(flags) f from events) group by 1 order by 1;

-- name: sets of what a user did
select s, count(*) n from (select list_sort(list(distinct event_name)) s from events where event_time < '2026-10-25' group by session_id) group by 1 order by n desc, 1 limit 10;
