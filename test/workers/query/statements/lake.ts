/** The lake that the statements are asked of: a shop's events, a file a day, over the ends of summer time in Europe and America. */
import type { EventRow } from "../../../../r2-layout/event-columns.ts";
import { lakeFile, type QueryRig } from "../rig.ts";
import { random, shopRows } from "../shop-rows.ts";

const DAYS = 10;
/** 2026-10-24, counted from the shop's first day. */
const FIRST_DAY = -27;

const SOURCES = ["newsletter", "search", "social", null, null, null] as const;
const TERMS = ["red tee", "shoes", "Überzug", "😀", ""] as const;
const HOSTS = ["shop.example", "www.shop.example"] as const;
const REFERRERS = [
  "https://www.search.example/q?x=1",
  "https://news.example/a/b",
  "http://social.example/",
  null,
] as const;
const SYSTEMS = ["iOS", "Android", "Windows", "macOS", null] as const;
const BROWSERS = ["Safari", "Chrome", "Firefox", ""] as const;
const SCREENS = ["1920x1080", "390x844", "2560x1440"] as const;
const ADDRESSES = [
  '{"city":"Köln","zip":[50667,50668],"geo":{"lat":50.94,"ok":true}}',
  '{"city":"Paris","zip":[],"geo":null}',
  "{}",
  "not json {",
] as const;

/** The shop's rows, with what a page, a campaign and a device add, and JSON among the properties. */
export function* statementRows(seed: number, rows: number, day: number, users: number): Generator<EventRow> {
  const next = random(seed + 1_000_003);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(next() * values.length)]!;
  for (const row of shopRows({ seed, rows, firstDay: day, days: 1, users })) {
    const host = pick(HOSTS);
    const source = pick(SOURCES);
    yield {
      ...row,
      page_host: row.page_path ? host : null,
      page_url: row.page_path ? `https://${host}${row.page_path}?v=${Math.floor(next() * 20)}` : null,
      page_title: row.page_path ? `Shop ${row.page_path}` : null,
      referrer: row.page_path ? pick(REFERRERS) : null,
      utm_source: source,
      utm_term: source === "search" ? pick(TERMS) : null,
      region: row.country && `${row.country}-${Math.floor(next() * 6)}`,
      os: pick(SYSTEMS),
      browser: pick(BROWSERS),
      screen: pick(SCREENS),
      ...(row.properties && next() < 0.2 && { properties: { ...row.properties, address: pick(ADDRESSES) } }),
    };
  }
}

/** @returns the files' paths, for native DuckDB, and their bytes together. */
export async function fillLake(
  rig: QueryRig,
  size: { readonly rows: number; readonly users: number },
): Promise<{ paths: string[]; bytes: number }> {
  const paths: string[] = [];
  let bytes = 0;
  for (let file = 0; file < DAYS; file++) {
    const rows = Math.floor(((file + 1) * size.rows) / DAYS) - Math.floor((file * size.rows) / DAYS);
    const built = await lakeFile("events", [...statementRows(file, rows, FIRST_DAY + file, size.users)]);
    bytes += built.bytes.length;
    paths.push(...(await rig.commit([built])).paths);
  }
  return { paths, bytes };
}
