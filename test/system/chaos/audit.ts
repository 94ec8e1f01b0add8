/**
 * Whether every acknowledged event is in the lake, in its timelines and in the rollups exactly once, nothing else is, and
 * the ledger adds up. What was sent and never acknowledged may be stored or not, but everywhere or nowhere.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { type Ledger, ORIGIN_HEADERS, type RunningSystem } from "../harness.ts";
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

  const events = stored.map((id) => sent.get(id)!);
  for (const user of traffic.users) {
    expect(await timeline(system, `/v1/users/${user}/events`), user).toEqual(
      idsOf(events, (event) => event.user === user),
    );
  }
  for (const device of traffic.devices) {
    const ids = await timeline(system, `/v1/devices/${device}/events`);
    expect(ids, device).toEqual(idsOf(events, (event) => event.device === device));
  }

  const points = await system.rollups({
    metric: "events",
    grain: "day",
    by: "event_name",
    from: new Date(Date.now() - 10 * DAY_MS).toISOString(),
    to: new Date(Date.now() + 2 * DAY_MS).toISOString(),
  });
  const inRollups = new Map<string, number>();
  for (const { key, value } of points) {
    const name = key.event_name ?? "";
    inRollups.set(name, (inRollups.get(name) ?? 0) + value);
  }
  expect(Object.fromEntries(inRollups), "rollups by name").toEqual(
    Object.fromEntries(names.rows as [string, number][]),
  );

  const { balanced, total, shards } = ledger;
  const rows = names.rows.reduce((sum, [, count]) => sum + Number(count), 0);
  expect({ balanced, ...total }, JSON.stringify(shards)).toMatchObject({
    balanced: true,
    lake: rows,
    sessions: rows,
    rollups: rows,
  });
}

const idsOf = (events: readonly SentEvent[], wanted: (event: SentEvent) => boolean): string[] =>
  events.flatMap((event) => (wanted(event) ? [event.id] : [])).toSorted();

async function column(system: RunningSystem, sql: string): Promise<string[]> {
  return (await system.sql(sql)).rows.map(([value]) => String(value));
}

function repeated(ids: readonly string[]): string[] {
  const seen = new Set<string>();
  return ids.filter((id) => seen.size === seen.add(id).size);
}

/** The ids of all pages, in the order of the text. */
async function timeline(system: RunningSystem, path: string): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | null = null;
  do {
    const query = new URLSearchParams({ limit: "1000", minutes: String(YEARS_OF_MINUTES), ...(cursor && { cursor }) });
    const response = await fetch(`${system.url}${path}?${query}`, { headers: ORIGIN_HEADERS.read });
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
    const page = (await response.json()) as { events: { event_id: string }[]; next: string | null };
    ids.push(...page.events.map(({ event_id }) => event_id));
    cursor = page.next;
  } while (cursor !== null);
  return ids.toSorted();
}
