/**
 * Whether every acknowledged event is in the lake, in its timelines and in the rollups exactly once, nothing else is, and
 * the ledger adds up. What was sent and never acknowledged may be stored or not, but everywhere or nowhere.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { type Ledger, ORIGIN_HEADERS, type RunningSystem, type SqlAnswer } from "../harness.ts";
import { CORRECTED_COUNTRY } from "./jobs.ts";
import type { SentEvent, Traffic } from "./traffic.ts";

const SETTLE_MS = 60_000;
const DAY_MS = 86_400_000;
const YEARS_OF_MINUTES = 60 * 24 * 366;

/** Waits until nothing moves any more. @param allowGaps an edge was killed: what it had failed to send may stay owed. */
export async function settle(system: RunningSystem, allowGaps: boolean): Promise<Ledger> {
  const giveUp = Date.now() + SETTLE_MS;
  for (let round = 0; ; round++) {
    const waiting = (await system.queues()).reduce(
      (sum, queue) => sum + queue.ready + queue.delayed + queue.underWay,
      0,
    );
    const ledger = await system.ledger();
    const shards = ledger.shards as unknown as readonly ShardFigures[];
    const lag = shards.reduce(
      (sum, { sinks }) => sum + Object.values(sinks).reduce((s, sink) => s + sink.lag_segments, 0),
      0,
    );
    const owed = shards.reduce((sum, shard) => sum + shard.accepted - shard.arrived, 0);
    if (waiting === 0 && lag === 0 && (allowGaps || owed === 0)) return ledger;
    if (Date.now() > giveUp) {
      throw new Error(`not settled: ${JSON.stringify({ waiting, lag, owed, ledger })}\n${system.output.slice(-6_000)}`);
    }
    await sleep(round < 20 ? 50 : 200);
  }
}

interface ShardFigures {
  readonly accepted: number;
  readonly arrived: number;
  readonly sinks: Readonly<Record<string, { readonly lag_segments: number }>>;
}

export async function audit(system: RunningSystem, traffic: Traffic, ledger: Ledger): Promise<void> {
  const { prefix, sent, acked } = traffic;
  const [stored, quarantined, names] = await Promise.all([
    column(system, `select event_id from events where event_id like '${prefix}-%'`),
    column(system, `select event_id from quarantine where event_id like '${prefix}-%'`),
    system.sql("select event_name, count(*) from events group by 1"),
  ]);
  expect(repeated([...stored, ...quarantined]), "stored twice").toEqual([]);
  const inLake = new Set(stored);
  const inQuarantine = new Set(quarantined);
  const isRight = ({ id, quarantined: q }: SentEvent) => (q ? inQuarantine : inLake).has(id);
  expect(
    [...acked].filter((id) => !isRight(sent.get(id)!)),
    "acknowledged and not stored",
  ).toEqual([]);
  expect(
    stored.filter((id) => sent.get(id)?.quarantined !== false),
    "stored and never sent so",
  ).toEqual([]);
  expect(
    quarantined.filter((id) => sent.get(id)?.quarantined !== true),
    "in quarantine, never sent so",
  ).toEqual([]);

  const corrected = new Set(
    await column(
      system,
      `select event_id from events where country = '${CORRECTED_COUNTRY}' and event_id like '${prefix}-%'`,
    ),
  );
  const events = stored.map((id) => sent.get(id)!);
  for (const [kind, names] of [
    ["user", traffic.users],
    ["device", traffic.devices],
  ] as const) {
    for (const name of names) {
      const page = await timeline(system, `/v1/${kind}s/${name}/events`);
      const expected = events.filter((event) => event[kind] === name).map(({ id }) => id);
      expect(page.ids, name).toEqual(expected.toSorted());
      expect(page.corrected, `${name}: corrected`).toEqual(expected.filter((id) => corrected.has(id)).toSorted());
    }
  }

  const byCountry = await dailyPoints(system, "country");
  const { rows: countries } = await system.sql("select coalesce(country, '(none)'), count(*) from events group by 1");
  expect(byCountry, "rollups by country").toEqual(Object.fromEntries(countries as [string, number][]));
  expect(await dailyPoints(system, "event_name"), "rollups by name").toEqual(
    Object.fromEntries(names.rows as [string, number][]),
  );

  // Whoever answers: where it is the rollups, they say what the files do.
  const asAsked = await system.read<SqlAnswer>("/v1/sql", {
    sql: "select country, count(*) as n from events group by 1",
  });
  const known = (asAsked.rows as [string | null, number][]).map(([country, n]) => [country ?? "(none)", n] as const);
  expect(Object.fromEntries(known), `by ${asAsked.stats.route}`).toEqual(byCountry);

  const { balanced, total, shards } = ledger;
  const rows = names.rows.reduce((sum, [, count]) => sum + Number(count), 0);
  expect({ balanced, ...total }, JSON.stringify(shards)).toMatchObject({
    balanced: true,
    lake: rows,
    sessions: rows,
    rollups: rows,
  });
}

/** Events of all days, by the values of a dimension. */
async function dailyPoints(system: RunningSystem, by: string): Promise<Record<string, number>> {
  const points = await system.rollups({
    metric: "events",
    grain: "day",
    by,
    from: new Date(Date.now() - 10 * DAY_MS).toISOString(),
    to: new Date(Date.now() + 2 * DAY_MS).toISOString(),
  });
  const sums: Record<string, number> = {};
  for (const { key, value } of points) sums[key[by]!] = (sums[key[by]!] ?? 0) + value;
  return sums;
}

async function column(system: RunningSystem, sql: string): Promise<string[]> {
  return (await system.sql(sql)).rows.map(([value]) => String(value));
}

function repeated(ids: readonly string[]): string[] {
  const seen = new Set<string>();
  return ids.filter((id) => seen.size === seen.add(id).size);
}

/** The ids of all pages, and of the corrected events among them, in the order of the text. */
async function timeline(system: RunningSystem, path: string): Promise<{ ids: string[]; corrected: string[] }> {
  const events: { event_id: string; country?: string | null }[] = [];
  let cursor: string | null = null;
  do {
    const query = new URLSearchParams({ limit: "1000", minutes: String(YEARS_OF_MINUTES), ...(cursor && { cursor }) });
    const response = await fetch(`${system.url}${path}?${query}`, { headers: ORIGIN_HEADERS.read });
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
    const page = (await response.json()) as { events: typeof events; next: string | null };
    events.push(...page.events);
    cursor = page.next;
  } while (cursor !== null);
  const ids = (list: typeof events) => list.map(({ event_id }) => event_id).toSorted();
  return { ids: ids(events), corrected: ids(events.filter(({ country }) => country === CORRECTED_COUNTRY)) };
}
