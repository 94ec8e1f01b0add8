/** Figures and rows that were wrong, made right while the system runs. A story each, told through the public interface. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { HOUR_MS, MINUTE_MS } from "../../../r2-layout/limits.ts";
import { type RunningSystem, startSystem, until } from "../harness.ts";
import { openLivePage } from "./live-page.ts";
import { tripleFigures } from "./tamper.ts";
import {
  type Correction,
  changes,
  confirm,
  countedAs,
  deviceIds,
  evenly,
  figures,
  hourOf,
  idsOf,
  iso,
  quietHour,
  rebuildAll,
  replay,
  type Sent,
  send,
  settlements,
  sqlIds,
  userIds,
} from "./told.ts";

const QUICK = { waitFactor: 0.1 } as const;

const dir = mkdtempSync(join(tmpdir(), "eventpile-stories-"));
let system: RunningSystem;
beforeAll(async () => {
  system = await startSystem({ ...QUICK, dir });
});
afterAll(async () => {
  await system?.stop();
  rmSync(dir, { recursive: true, force: true });
});

it("a metric that was wrong for two hours is rebuilt for these two hours, and nothing outside of them moves (promises 4, 8)", async () => {
  const hour = hourOf(Date.now());
  const [from, to] = [hour - HOUR_MS, hour + HOUR_MS];
  const [firstEvent, lastEvent] = [hour - 4 * HOUR_MS, Date.now() - 4 * MINUTE_MS];
  await send(
    system,
    evenly(200, firstEvent, lastEvent, (at, i) => ({
      messageId: `metric-${i}`,
      anonymousId: `metric-${i % 9}`,
      at,
      event: i % 3 ? "Product Viewed" : "Order Completed",
      ...(i % 3 === 0 && { revenue: 12.5 }),
    })),
  );
  await system.settled();
  const right = await figures(system, firstEvent, to);
  const isInside = (name: string) => {
    const { start } = right.get(name)!;
    if (name.includes(" day ")) return Date.parse(start) + 24 * HOUR_MS > from;
    return Date.parse(start) >= from && Date.parse(start) < to;
  };

  // A consumer with a fault has counted each event of two hours three times.
  await system.stop();
  expect(tripleFigures(dir, from, to)).toBeGreaterThan(40);
  system = await system.again();
  const wrong = await figures(system, firstEvent, to);
  const isWrong = (name: string) => wrong.get(name)!.value !== right.get(name)!.value;
  expect([...right.keys()].filter(isWrong).length).toBeGreaterThan(80);
  expect([...right.keys()].filter((name) => isWrong(name) && !isInside(name))).toEqual([]);
  const page = await openLivePage(system);
  const seen = [...page.minutes.values()].findLast(({ start }) => right.has(`events minute ${start} {}`))!;
  const before = right.get(`events minute ${seen.start} {}`)!;
  expect(seen.events).toBe(3 * before.value);

  const job = await replay(system, { from: iso(from), to: iso(to), sinks: ["rollups"], mode: "rebuild" });
  const inWindow = (await sqlIds(system, `event_id like 'metric-%' and event_time >= '${iso(from)}'`)).length;
  expect(job).toMatchObject({
    state: "waiting_for_confirmation",
    comparison: [{ sink: "rollups", identical: false, before: 3 * inWindow, after: inWindow }],
  });

  const rebuilt = await figures(system, firstEvent, to);
  expect([...rebuilt.keys()]).toEqual([...right.keys()]);
  for (const [name, point] of right) {
    const now = rebuilt.get(name)!;
    if (!isInside(name)) expect(now).toEqual(point);
    else expect({ name, value: now.value }).toEqual({ name, value: point.value });
    if (isInside(name) && point.state === "final") expect(now.version, name).toBeGreaterThan(point.version);
  }
  await until("the open page shows the right figure", 30_000, async () => {
    const shown = page.minutes.get(seen.start)!;
    return shown.events === before.value && shown.version > seen.version;
  });
  page.close();
  const records = (await changes(system, firstEvent, to)).filter((change) => change.job === job.id);
  expect(records.every(({ reason, minute }) => reason === "rebuild" && Date.parse(minute) >= from)).toBe(true);
  expect(records.reduce((sum, { events }) => sum + events, 0)).toBe(-2 * inWindow);

  await confirm(system, "replays", job);
  expect(await figures(system, firstEvent, to)).toEqual(rebuilt);
  expect(await system.ledger()).toMatchObject({ balanced: true });
});

it("events that an app version gave to the wrong device for two hours are moved by a correction, in all three stores and for good (promises 3 to 5, 8)", async () => {
  const from = quietHour(30);
  const to = from + 2 * HOUR_MS;
  const [wrong, right] = ["kiosk-9", "kiosk-4"];
  const misplaced = evenly(24, from, to, (at, i) => ({
    messageId: `moved-${i}`,
    anonymousId: wrong,
    at,
    appVersion: "2.4.1",
    revenue: 3,
  }));
  // The wrong device's own events, some in the same minutes, and of the same version once it was mended.
  const own = [
    ...evenly(6, from, to, (at, i) => ({ messageId: `own-${i}`, anonymousId: wrong, at, appVersion: "2.4.0" })),
    { messageId: "own-late", anonymousId: wrong, at: to + MINUTE_MS, appVersion: "2.4.1" },
  ];
  const rights = evenly(3, from - HOUR_MS, from, (at, i) => ({
    messageId: `right-${i}`,
    anonymousId: right,
    at,
    appVersion: "2.4.0",
  }));
  await send(system, [...misplaced, ...own, ...rights]);
  await system.settled();
  expect(await deviceIds(system, wrong)).toEqual(idsOf([...misplaced, ...own]));
  const before = await figures(system, from - HOUR_MS, to + HOUR_MS);

  const preview = await system.read<Correction>("/v1/corrections", {
    filter: { from: iso(from), to: iso(to), where: { app_version: "2.4.1", anonymous_id: wrong } },
    change: { map: { column: "anonymous_id", values: { [wrong]: right } } },
    note: "2.4.1 sent the id of the kiosk beside it",
  });
  expect(preview).toMatchObject({ state: "preview", count: misplaced.length });
  expect(preview.samples.length).toBeGreaterThan(0);
  for (const sample of preview.samples) {
    expect(sample).toMatchObject({ before: { anonymous_id: wrong }, after: { anonymous_id: right } });
  }
  expect(await deviceIds(system, right)).toEqual(idsOf(rights));
  const { rules } = await confirm(system, "corrections", preview);

  const isMoved = async () => {
    expect(await deviceIds(system, wrong)).toEqual(idsOf(own));
    expect(await deviceIds(system, right)).toEqual(idsOf([...rights, ...misplaced]));
    expect(await sqlIds(system, `anonymous_id = '${wrong}'`)).toEqual(idsOf(own));
    expect(await sqlIds(system, `anonymous_id = '${right}'`)).toEqual(idsOf([...rights, ...misplaced]));
    expect(await system.ledger()).toMatchObject({ balanced: true, total: { in_flight: 0 } });
  };
  await isMoved();
  // Every snapshot has all of them with the old id, or all with the new one.
  const counts: number[] = [];
  for (let snapshot = rules!.snapshot_before; snapshot <= rules!.snapshot_after; snapshot++) {
    counts.push((await sqlIds(system, `anonymous_id = '${wrong}'`, snapshot)).length);
  }
  expect(counts[0]).toBe(misplaced.length + own.length);
  expect(new Set(counts)).toEqual(new Set([misplaced.length + own.length, own.length]));

  // Two devices where there seemed to be one; what else is told of those minutes stays.
  const after = await figures(system, from - HOUR_MS, to + HOUR_MS);
  const shared = `users minute ${iso(Math.floor(from / MINUTE_MS) * MINUTE_MS)} {}`;
  expect(before.get(shared)).toMatchObject({ value: 1 });
  expect(after.get(shared)).toMatchObject({ value: 2, version: before.get(shared)!.version + 1 });
  for (const [name, point] of before) {
    if (!name.startsWith("users")) expect(after.get(name)!.value, name).toBe(point.value);
    const isTouched = misplaced.some(({ at }) => name.includes(iso(Math.floor(at! / MINUTE_MS) * MINUTE_MS)));
    if (name.includes(" minute ")) expect(after.get(name)!.version, name).toBe(point.version + (isTouched ? 1 : 0));
  }
  const records = (await changes(system, from, to)).filter(({ reason }) => reason === "correction");
  expect(records.length).toBe(misplaced.length);

  await rebuildAll(system);
  await isMoved();
  expect((await sqlIds(system, `anonymous_id = '${wrong}'`, rules!.snapshot_before)).length).toBe(counts[0]);
});

it.each([1, 4])(
  "events republished with the right device under the same ids replace those with the wrong one, once (promises 2, 3), on %i shard(s)",
  async (shards) => {
    const on = shards === 1 ? system : await startSystem({ ...QUICK, shards });
    try {
      await republishes(on);
    } finally {
      if (on !== system) await on.stop();
    }
  },
);

async function republishes(on: RunningSystem): Promise<void> {
  const at = Date.now() - 10 * MINUTE_MS;
  const events = (device: string): Sent[] =>
    Array.from({ length: 12 }, (_, i) => ({
      messageId: `again-${i}`,
      anonymousId: `${device}-${i % 4}`,
      userId: i % 2 ? "ruth" : "rosa",
      at: at + i * 1_000,
      event: "Tablet Tapped",
    }));
  const devices = (name: string) => [0, 1, 2, 3].map((i) => `${name}-${i}`);
  const ids = async (name: string) =>
    (await Promise.all(devices(name).map((id) => deviceIds(on, id)))).flat().toSorted();
  const tapped = () => countedAs(on, "Tablet Tapped", at - 48 * HOUR_MS);
  const all = idsOf(events("wrong"));

  await send(on, events("wrong"));
  await on.settled();
  expect(await ids("wrong")).toEqual(all);

  const isReplaced = async () => {
    expect(await sqlIds(on, "event_id like 'again-%'")).toEqual(all);
    expect(await sqlIds(on, "event_id like 'again-%' and anonymous_id like 'right-%'")).toEqual(all);
    expect([await ids("wrong"), await ids("right")]).toEqual([[], all]);
    expect([...(await userIds(on, "ruth")), ...(await userIds(on, "rosa"))].toSorted()).toEqual(all);
    expect(await tapped()).toBe(12);
    expect(await on.ledger()).toMatchObject({ balanced: true, total: { in_flight: 0 } });
  };
  await send(on, events("right"), "?republish=fix-1");
  await on.settled();
  const settled = await settlements(on, 1);
  await isReplaced();

  const { total } = await on.ledger();
  await send(on, events("right"), "?republish=fix-1");
  await on.settled();
  expect((await on.ledger()).total.duplicates).toBe(total.duplicates + 12);
  expect(await settlements(on, 1)).toEqual(settled);
  await isReplaced();
}
