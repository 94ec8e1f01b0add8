/** Late events, a store that is down, and what cannot be read: nothing is lost, nothing counts twice. A story each. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { DAY_MS, HOUR_MS } from "../../../r2-layout/limits.ts";
import { type RunningSystem, startSystem, until } from "../harness.ts";
import { inspect, inspectRaw, openEntries, putOnQueue, redrive } from "./quarantine-desk.ts";
import { damage, findSegment, mend } from "./tamper.ts";
import {
  changes,
  countedAs,
  deviceIds,
  evenly,
  figures,
  idsOf,
  iso,
  type Sent,
  send,
  sqlIds,
  userIds,
} from "./told.ts";

const dir = mkdtempSync(join(tmpdir(), "eventpile-stories-"));
let system: RunningSystem;
beforeAll(async () => {
  system = await startSystem({ waitFactor: 0.05, dir });
});
afterAll(async () => {
  await system?.stop();
  rmSync(dir, { recursive: true, force: true });
});

it("an event that comes five days late lands in its own day everywhere, and the day's figures say what changed by how much; impossible clocks are clamped, flagged and counted (promise 8)", async () => {
  const day = Math.floor(Date.now() / DAY_MS) * DAY_MS - 5 * DAY_MS;
  const sale = (messageId: string, at: number, revenue: number): Sent => ({
    messageId,
    anonymousId: "phone-in-a-drawer",
    userId: "lena",
    at,
    revenue,
  });
  // What is known of that day so far.
  await send(system, [sale("day-0", day + 9 * HOUR_MS, 5), sale("day-1", day + 10 * HOUR_MS, 7)]);
  await system.settled();
  const before = await figures(system, day, day + DAY_MS, ["hour", "day"]);
  const total = `events day ${iso(day)} {}`;
  expect(before.get(total)).toMatchObject({ value: 2, state: "final" });

  const at = day + 13 * HOUR_MS + 17_000;
  await send(system, [sale("drawer-0", at, 30)]);
  await system.settled();
  const { rows } = await system.sql(
    `select event_time, flags, revenue from events where event_id = 'drawer-0' and event_time >= '${iso(day)}' and event_time < '${iso(day + DAY_MS)}'`,
  );
  expect(rows).toEqual([[iso(at).replace("Z", "000Z"), ["late"], 30]]);
  expect(await userIds(system, "lena")).toEqual(["day-0", "day-1", "drawer-0"]);
  expect(await deviceIds(system, "phone-in-a-drawer")).toEqual(["day-0", "day-1", "drawer-0"]);
  const after = await figures(system, day, day + DAY_MS, ["hour", "day"]);
  expect(after.get(total)).toMatchObject({ value: 3, state: "final", version: before.get(total)!.version + 1 });
  expect(after.get(`revenue day ${iso(day)} {"currency":"EUR"}`)?.value).toBe(42);
  expect((await changes(system, at - HOUR_MS, at + HOUR_MS)).map(({ version, ...change }) => change)).toMatchObject([
    { minute: iso(at - 17_000), reason: "late", job: null, events: 1, revenue: { EUR: 30 } },
  ]);

  const sentAt = Date.now();
  const clocks = { 1970: Date.UTC(1970, 0, 1, 0, 7), 2099: Date.UTC(2099, 11, 31) };
  await send(
    system,
    Object.entries(clocks).map(([year, clock]) => ({
      messageId: `clock-${year}`,
      anonymousId: "reset-phone",
      at: clock,
    })),
  );
  const ledger = await system.settled();
  expect(ledger).toMatchObject({
    balanced: true,
    total: { accepted: 5, late: 3, clock_skewed: 2, lake: 5, sessions: 5, rollups: 5 },
  });
  expect(await deviceIds(system, "reset-phone")).toEqual(["clock-1970", "clock-2099"]);
  const clamped = await system.sql(
    "select event_id, client_time, event_time, flags from events where anonymous_id = 'reset-phone' order by 1",
  );
  for (const [id, clientTime, eventTime, flags] of clamped.rows) {
    const clock = clocks[String(id).slice(-4) as unknown as keyof typeof clocks];
    expect([Date.parse(String(clientTime)), flags]).toEqual([clock, ["clock_skewed"]]);
    expect(Math.abs(Date.parse(String(eventTime)) - sentAt)).toBeLessThan(60_000);
  }
  expect(clamped.rows.length).toBe(2);
});

it("a sink whose store is down for long leaves the other two fresh, shows its lag, and has everything once the store is back (promises 2, 3)", async () => {
  const shift = (i: number): Sent[] =>
    evenly(10, Date.now() - 1_000, Date.now(), (at, n) => ({
      messageId: `shift-${String(i).padStart(3, "0")}-${n}`,
      anonymousId: `till-${n % 2}`,
      userId: `clerk-${n % 3}`,
      at,
      event: "Item Scanned",
    }));
  const clerks = ["clerk-0", "clerk-1", "clerk-2"];
  const sessionsLag = async () => (await system.ledger()).shards[0] as unknown as ShardLag;
  const scanned = () => countedAs(system, "Item Scanned", Date.now() - DAY_MS);

  await send(system, shift(0));
  await system.settled();
  await system.setFaults({ seed: 1, rules: [{ target: "object/USER_TIMELINE.*", kind: "before", rate: 1 }] });
  const sent = [...shift(0)];
  for (let i = 1; (await wakeUps(system, "sessions")) < WAKE_UPS; i++) {
    const batch = shift(i);
    await send(system, batch);
    sent.push(...batch);
    await until("SQL and the rollups have what was just sent", 20_000, async () => {
      const inLake = await sqlIds(system, "event_id like 'shift-%'");
      return inLake.length === sent.length && (await scanned()) === sent.length;
    });
  }
  // They said no again and again, and nobody took that for the events' fault.
  const { sinks } = await sessionsLag();
  expect(sinks.lake).toMatchObject({ holes: 0, lag_segments: 0 });
  expect(sinks.rollups).toMatchObject({ holes: 0, lag_segments: 0 });
  expect(sinks.sessions).toMatchObject({ holes: 0, in_flight: sent.length - 10 });
  expect(sinks.sessions.lag_segments).toBeGreaterThan(1);
  expect(sinks.sessions.lag_seconds).toBeGreaterThan(1);
  expect((await system.ledger()).balanced).toBe(true);
  const refused = await fetch(`${system.url}/v1/users/clerk-0/events`, {
    headers: { authorization: `Bearer ${system.token}` },
  });
  expect([refused.status, refused.headers.has("retry-after")]).toEqual([503, true]);
  await refused.body?.cancel();

  await system.setFaults();
  const ledger = await system.settled();
  expect(ledger.balanced).toBe(true);
  expect((await sessionsLag()).sinks.sessions).toMatchObject({ holes: 0, lag_segments: 0, in_flight: 0 });
  expect((await Promise.all(clerks.map((clerk) => userIds(system, clerk)))).flat().toSorted()).toEqual(idsOf(sent));
  expect(await sqlIds(system, "event_id like 'shift-%'")).toEqual(idsOf(sent));
  expect(await scanned()).toBe(sent.length);
});

it("a message and a segment that cannot be read wait in quarantine, their neighbours do not wait, and a re-drive brings the events once (promises 2, 3)", async () => {
  const basket = (name: string): Sent[] =>
    evenly(5, Date.now() - 1_000, Date.now(), (at, i) => ({
      messageId: `${name}-${i}`,
      anonymousId: `basket-of-${name}`,
      at,
      event: `Basket ${name}`,
    }));
  const [first, second, lost, third] = ["first", "second", "lost", "third"].map(basket) as [
    Sent[],
    Sent[],
    Sent[],
    Sent[],
  ];
  const inStores = async (name: string) => [
    await sqlIds(system, `anonymous_id = 'basket-of-${name}'`),
    await deviceIds(system, `basket-of-${name}`),
    await countedAs(system, `Basket ${name}`, Date.now() - DAY_MS),
  ];
  const all = (events: readonly Sent[]) => [idsOf(events), idsOf(events), events.length];

  // A message that is none, in one batch with others.
  await system.chaos({ hold: true }, "events-");
  await send(system, first);
  await putOnQueue(system, "events-0", "half a mess");
  await send(system, second);
  await system.chaos({}, "events-");
  await system.settled();
  // A segment that was damaged before any store has read it, with another right behind.
  await system.setFaults({ seed: 1, rules: [{ target: "object/EVENT_LOG.segments", kind: "before", rate: 1 }] });
  await send(system, lost);
  await until("a segment of its own", 30_000, async () => (await onQueue(system)) === 0);
  const segment = findSegment(dir, "lost-0");
  damage(segment);
  await send(system, third);
  await until("another right behind", 30_000, async () => (await onQueue(system)) === 0);
  await system.setFaults();
  const { balanced, total } = await system.settled();
  expect({ balanced, ...total }).toMatchObject({ balanced: true, holes: lost.length });

  expect(await inStores("first")).toEqual(all(first));
  expect(await inStores("second")).toEqual(all(second));
  expect(await inStores("third")).toEqual(all(third));
  expect(await inStores("lost")).toEqual([[], [], 0]);
  const entries = await openEntries(system);
  const message = entries.find(({ kind }) => kind === "message")!;
  const holes = entries.filter(({ kind }) => kind === "hole");
  expect(entries.length).toBe(4);
  expect(message).toMatchObject({ cause: "malformed_message", origin: { queue: "events-0" }, state: "open" });
  expect(await inspect(system, message.id)).toMatchObject({ body: { encoding: "utf8", text: "half a mess" } });
  expect(holes.map(({ origin }) => origin.sink).toSorted()).toEqual(["lake", "rollups", "sessions"]);
  for (const hole of holes) {
    expect(hole).toMatchObject({ cause: "segment_damaged", events: lost.length, origin: { shard: 0, lines: "all" } });
    expect(await inspectRaw(system, hole.id)).toEqual(readFileSync(segment.path));
    expect(await redrive(system, hole.id)).toMatchObject({
      status: 422,
      reason: "still_refused",
      cause: "segment_damaged",
    });
  }
  expect(await redrive(system, message.id)).toMatchObject({ status: 422, cause: "malformed_message" });

  mend(segment);
  const answers = await Promise.all(holes.map(({ id }) => redrive(system, id)));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  const mended = await system.settled();
  expect(mended).toMatchObject({ balanced: true });
  expect(await inStores("lost")).toEqual(all(lost));
  expect((await openEntries(system)).map(({ id }) => id)).toEqual([message.id]);

  expect(await Promise.all(holes.map(({ id }) => redrive(system, id)))).toEqual(answers);
  expect((await system.settled()).total).toEqual(mended.total);
  expect(await inStores("lost")).toEqual(all(lost));
});

/**
 * Instead of an hour, which scaled would be three minutes: so many wake-ups fail, each with its retries, over several
 * times what an event that cannot be handled is given (`SINK.poisonAttempts`, `poisonSpreadMs`) and many leases.
 */
const WAKE_UPS = 60;

interface ShardLag {
  readonly sinks: Readonly<
    Record<
      "lake" | "sessions" | "rollups",
      Readonly<Record<"lag_segments" | "lag_seconds" | "in_flight" | "holes", number>>
    >
  >;
}

/** Since the faults were set. */
async function wakeUps(on: RunningSystem, queue: string): Promise<number> {
  return (await on.faultReports()).reduce((sum, { calls }) => sum + (calls[`consumer/${queue}`] ?? 0), 0);
}

async function onQueue(on: RunningSystem): Promise<number> {
  const queues = (await on.queues()).filter(({ queue }) => queue.startsWith("events-"));
  return queues.reduce((sum, { ready, delayed, underWay }) => sum + ready + delayed + underWay, 0);
}
