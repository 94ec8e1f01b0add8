-- Times: parts, formats, buckets, differences.

-- name: by weekday and hour
select dayname(event_time) d, date_part('hour', event_time) h, count(*) n from events group by 1, 2 order by n desc, 1, 2 limit 20;

-- name: buckets of a quarter of an hour
select time_bucket(interval 15 minute, event_time) t, count(*) n from events where event_time >= '2026-10-27 20:00:00' and event_time < '2026-10-28 02:00:00' group by 1 order by 1;

-- name: delays until arrival
select round(avg(epoch_us(received_at) - epoch_us(event_time)), 1), max(epoch_us(received_at - event_time)), count(*) filter (where received_at - event_time > interval 4 second) from events;

-- name: formatted
select strftime(event_time, '%Y-%m-%d %H') t, count(*) n from events where event_time >= '2026-11-01' group by 1 order by 1;

-- name: weeks
select date_trunc('week', event_time)::date w, yearweek(event_time) y, count(*) n from events group by 1, 2 order by 1;

-- name: the last hours that there are
select count(*) from events where event_time > (select max(event_time) - interval 6 hour from events);
