-- ClickBench's questions, asked of our events: hits, users, advertising, phrases, pages. Where the original leaves the
-- order of equals open, a tie is broken here, so that two engines can be compared row by row.

-- name: all events
select count(*) from events;

-- name: events of a campaign
select count(*) from events where utm_source is not null;

-- name: sum, count and average
select sum(contract_version), count(*), round(avg(revenue), 4) from events;

-- name: average of a large integer
select round(avg(client_seq % 1000000), 3) from events;

-- name: distinct users
select count(distinct user_id) from events;

-- name: distinct phrases
select count(distinct utm_term) from events;

-- name: first and last moment
select min(event_time), max(event_time), min(event_time::date), max(event_time::date) from events;

-- name: by campaign source
select utm_source, count(*) n from events where utm_source is not null group by 1 order by n desc, 1;

-- name: regions by users
select region, count(distinct user_id) u from events group by 1 order by u desc, 1 nulls last limit 10;

-- name: regions by everything
select region, sum(contract_version) s, count(*) c, round(avg(revenue), 3) a, count(distinct user_id) u
from events group by 1 order by c desc, 1 nulls last limit 10;

-- name: browsers by users
select browser, count(distinct user_id) u from events where browser <> '' group by 1 order by u desc, 1 limit 10;

-- name: systems and browsers by users
select os, browser, count(distinct user_id) u from events where browser <> '' group by 1, 2 order by u desc, 1 nulls last, 2 limit 10;

-- name: phrases by hits
select utm_term, count(*) c from events where utm_term <> '' group by 1 order by c desc, 1 limit 10;

-- name: phrases by users
select utm_term, count(distinct user_id) u from events where utm_term <> '' group by 1 order by u desc, 1 limit 10;

-- name: sources and phrases by hits
select utm_source, utm_term, count(*) c from events where utm_term <> '' group by 1, 2 order by c desc, 1 nulls last, 2 limit 10;

-- name: users by hits
select user_id, count(*) c from events group by 1 order by c desc, 1 nulls last limit 10;

-- name: users and phrases by hits
select user_id, utm_term, count(*) c from events group by 1, 2 order by c desc, 1 nulls last, 2 nulls last limit 10;

-- name: users, minutes and phrases by hits
select user_id, extract(minute from event_time) m, utm_term, count(*) c
from events group by 1, 2, 3 order by c desc, 1 nulls last, 2, 3 nulls last limit 10;

-- name: one user
select count(*) from events where user_id = 'user-77';

-- name: addresses that contain a word
select count(*) from events where page_url like '%tee%';

-- name: phrases of addresses that contain a word
select utm_term, min(page_url), count(*) c from events where page_url like '%tee%' and utm_term <> '' group by 1 order by c desc, 1 limit 10;

-- name: titles that contain a word
select utm_term, min(page_url), min(page_title), count(*) c, count(distinct user_id) u
from events where page_title like '%Shop%' and page_url not like '%/cart%' and utm_term <> '' group by 1 order by c desc, 1 limit 10;

-- name: whole rows of matching addresses, first ten
select * exclude (properties, flags) from events where page_url like '%tee%' order by event_time, event_id limit 10;

-- name: phrases by time
select utm_term from events where utm_term <> '' order by event_time, event_id limit 10;

-- name: phrases by name
select utm_term from events where utm_term <> '' order by utm_term limit 10;

-- name: average length of addresses by host
select page_host, round(avg(length(page_url)), 4) l, count(*) c from events where page_url <> '' group by 1 having count(*) > 50 order by l desc, 1 limit 25;

-- name: referring hosts by a regular expression
select regexp_replace(referrer, '^https?://(?:www\.)?([^/]+)/.*$', '\1') k, round(avg(length(referrer)), 4) l, count(*) c, min(referrer)
from events where referrer <> '' group by 1 having count(*) > 10 order by l desc, 1 limit 25;

-- name: many sums
select sum(log_seq), sum(log_seq + 1), sum(log_seq + 2), sum(log_seq + 3), sum(log_seq + 4), sum(log_seq + 5), sum(log_seq + 6),
  sum(log_seq + 7), sum(log_seq + 8), sum(log_seq + 9) from events;

-- name: sources and countries
select utm_source, country, count(*) c, sum(contract_version), round(avg(revenue), 3)
from events where utm_term <> '' group by 1, 2 order by c desc, 1 nulls last, 2 nulls last limit 10;

-- name: addresses by hits
select page_url, count(*) c from events group by 1 order by c desc, 1 nulls last limit 10;

-- name: a constant and addresses by hits
select 1, page_url, count(*) c from events group by 1, 2 order by c desc, 2 nulls last limit 10;

-- name: pages of some days
select page_path, count(*) v from events
where event_name = 'page' and event_time >= '2026-10-25' and event_time < '2026-10-28' and page_url <> ''
group by 1 order by v desc, 1 limit 10 offset 1;

-- name: where visits come from
select utm_source, case when utm_source is null and referrer is not null then referrer else '' end as src, page_path dst, count(*) v
from events where event_name = 'page' group by 1, 2, 3 order by v desc, 1 nulls last, 2, 3 nulls last limit 10;

-- name: windows' sizes
select split_part(screen, 'x', 1)::integer w, split_part(screen, 'x', 2)::integer h, count(*) v
from events where event_time between '2026-10-26' and '2026-10-29' group by 1, 2 order by v desc, 1, 2 limit 10;

-- name: visits by the minute
select date_trunc('minute', event_time) m, count(*) v from events
where event_time >= timestamp '2026-10-30 10:00:00' and event_time < timestamp '2026-10-30 12:00:00' and event_name = 'page' group by 1 order by 1;
