/** Statements to start from. Each runs on an empty lake too, and reads only what its time range needs. */
export interface Sample {
  readonly title: string;
  readonly sql: string;
}

export const SAMPLES: readonly Sample[] = [
  {
    title: "Newest events",
    sql: `SELECT event_time, event_name, user_id, anonymous_id, page_path, country, properties
FROM events
WHERE event_time > now()::TIMESTAMP - INTERVAL 1 HOUR
ORDER BY event_time DESC
LIMIT 100`,
  },
  {
    title: "Events per minute, last hour",
    sql: `SELECT date_trunc('minute', event_time) AS minute,
       count(*) AS events,
       count(DISTINCT coalesce(user_id, anonymous_id)) AS users
FROM events
WHERE event_time > now()::TIMESTAMP - INTERVAL 1 HOUR
GROUP BY minute
ORDER BY minute DESC`,
  },
  {
    title: "Events by name, today",
    sql: `SELECT event_name,
       count(*) AS events,
       count(DISTINCT anonymous_id) AS devices
FROM events
WHERE event_time >= date_trunc('day', now()::TIMESTAMP)
GROUP BY event_name
ORDER BY events DESC`,
  },
  {
    title: "Top pages and where they lead from",
    sql: `SELECT page_path, referrer, count(*) AS views
FROM events
WHERE event_name = 'page'
  AND event_time > now()::TIMESTAMP - INTERVAL 1 DAY
GROUP BY page_path, referrer
ORDER BY views DESC
LIMIT 50`,
  },
  {
    title: "Funnel by session",
    sql: `WITH steps AS (
  SELECT session_id,
         max(CASE WHEN event_name = 'page' THEN 1 ELSE 0 END) AS visited,
         max(CASE WHEN event_name = 'Product Added' THEN 1 ELSE 0 END) AS added,
         max(CASE WHEN event_name = 'Order Completed' THEN 1 ELSE 0 END) AS ordered
  FROM events
  WHERE event_time > now()::TIMESTAMP - INTERVAL 1 DAY
    AND session_id IS NOT NULL
  GROUP BY session_id
)
SELECT count(*) AS sessions,
       sum(visited) AS with_page,
       sum(added) AS with_cart,
       sum(ordered) AS with_order
FROM steps`,
  },
  {
    title: "Revenue by country and day",
    sql: `SELECT CAST(event_time AS DATE) AS day,
       coalesce(country, '?') AS country,
       currency,
       round(sum(revenue), 2) AS revenue,
       count(*) AS orders
FROM events
WHERE revenue IS NOT NULL
  AND event_time > now()::TIMESTAMP - INTERVAL 30 DAY
GROUP BY day, country, currency
ORDER BY day DESC, revenue DESC`,
  },
  {
    title: "A property of an event",
    sql: `SELECT properties['product_id'][1] AS product, count(*) AS events
FROM events
WHERE event_name = 'Product Viewed'
  AND event_time > now()::TIMESTAMP - INTERVAL 1 DAY
GROUP BY product
ORDER BY events DESC
LIMIT 20`,
  },
  {
    title: "Why events were quarantined",
    sql: `SELECT cause, field, expected, actual, count(*) AS events, max(received_at) AS newest
FROM quarantine
GROUP BY cause, field, expected, actual
ORDER BY events DESC
LIMIT 50`,
  },
];
