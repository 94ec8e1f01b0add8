import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import type { Break, ContractHealthApi, HourReport } from "../../../durable-objects/contract-health/api.ts";
import { HealthTable } from "../../../durable-objects/contract-health/health-table.ts";
import {
  type ContractHealthDeps,
  evaluateHours,
  type HealthMessage,
  SqlRefused,
} from "../../../queues/contract-health/evaluate-hours.ts";
import { parseMaintenanceMessage } from "../../../queues/maintenance/messages.ts";
import type { Expectations } from "../../../r2-layout/contracts/contract.ts";
import { HEALTH, HOUR_MS, MINUTE_MS } from "../../../r2-layout/limits.ts";
import { Database, SimulatedSql } from "../../simulator/platform/sql-storage.ts";

const HOUR = Date.parse("2026-11-22T10:00:00Z");
const END = HOUR + HOUR_MS;
const SETTLED = END + HEALTH.settleMs;
const contract = (event: string, properties: readonly string[] = ["coupon"]) => ({
  eventName: event,
  document: JSON.stringify({
    ...{ "x-event": event, "x-version": 1, "x-owner": "shop@example.com", description: "Somebody has paid." },
    "x-expectations": { present: Object.fromEntries(properties.map((name) => [name, 0.9])) },
    type: "object",
    properties: Object.fromEntries(properties.map((name) => [name, { type: "string" }])),
  }),
});

/** One shard whose log has ten segments of the hour, and events of which half have a coupon. */
function rig(events: readonly string[] = ["Paid"]) {
  const health = new HealthTable(
    new SimulatedSql(new Database(new DatabaseSync(":memory:")), () => {}) as unknown as SqlStorage,
  );
  const told: Break[] = [];
  const reports: HourReport[] = [];
  const asked: string[] = [];
  const world = {
    ...{ cursor: 10, gaps: 0, later: true, sources: ["shop"], refuses: null as string | null },
    contracts: events.map((event) => contract(event)),
  };
  const object: Pick<ContractHealthApi, "open" | "todo" | "report" | "finish"> = {
    open: async (nowMs) => health.openHours(nowMs - (nowMs % HOUR_MS) - HOUR_MS),
    todo: async (hour, names, isFinal) =>
      names.filter((name) => {
        const stored = health.stored(name, hour);
        return !stored || (isFinal && !stored.isFinal);
      }),
    async report(report: HourReport, expectations: Expectations | null) {
      reports.push(report);
      health.put(report, expectations !== null);
      if (expectations) told.push(...health.judge(report, expectations));
      return expectations ? "judged" : "kept";
    },
    finish: async (hour, left) => void told.push(...health.finish(hour, left)),
  };
  const deps: ContractHealthDeps = {
    shards: 1,
    logs: {
      getByName: () => ({
        standing: async (from) => {
          const range = from < END ? { from: 1, to: 10 } : world.later ? { from: 11, to: 11 } : null;
          return { head: 11, epoch: 0, gaps: world.gaps, range };
        },
      }),
    },
    catalog: { getByName: () => ({ status: async () => ({ cursors: { 0: { cursor: world.cursor } } }) as never }) },
    registry: {
      getByName: () => ({
        async watched(after, limit) {
          const rest = world.contracts.filter(({ eventName }) => eventName > after);
          return { contracts: rest.slice(0, limit), left: Math.max(0, rest.length - limit) };
        },
      }),
    },
    health: { getByName: () => object },
    async ask(sql) {
      asked.push(sql);
      if (world.refuses !== null && sql.includes(world.refuses))
        throw new SqlRefused("422 The statement reads too much: x");
      if (sql.includes("from quarantine")) return [];
      return world.sources.map((source, i) => [source, HOUR, 20 + i, END - 1, 0, 0, ...Array(HEALTH.fields).fill(10)]);
    },
  };
  /** As the queue carries it, slice by slice. @returns how many there were */
  const run = async (nowMs: number, message: HealthMessage = {}) => {
    let slices = 0;
    for (let next: HealthMessage | null = message; next; slices++) {
      const carried = parseMaintenanceMessage(JSON.parse(JSON.stringify({ kind: "contract-health", ...next })));
      next = await evaluateHours(deps, nowMs, carried as HealthMessage);
    }
    return slices;
  };
  return { world, run, told, reports, asked, health, deps };
}

describe("the hourly look at expectations", () => {
  it("judges an hour that is over, once, however often it is done", async () => {
    const { run, told, reports, asked } = rig();
    await run(SETTLED);
    expect(reports).toMatchObject([{ eventName: "Paid", hour: HOUR, sources: [{ source: "shop", events: 20 }] }]);
    expect(told).toMatchObject([{ expectation: "present", field: "coupon", expected: 0.9, actual: 0.5, since: HOUR }]);
    // Nothing was kept apart, so no ids are compared.
    expect(asked).toHaveLength(2);
    for (const later of [0, 10, 50]) await run(SETTLED + later * MINUTE_MS);
    expect([reports.length, told.length, asked.length]).toEqual([1, 1, 2]);
    await run(SETTLED + HOUR_MS);
    expect([reports.length, told.length]).toEqual([2, 1]);
  });

  it.each<[string, Partial<ReturnType<typeof rig>["world"]>, number]>([
    ["the lake is behind", { cursor: 9 }, HEALTH.idleMs],
    ["a message of an edge is owed", { gaps: 1 }, HEALTH.idleMs],
    ["a log has not gone on beyond the hour, and is not idle for long enough", { later: false }, HEALTH.idleMs - 1],
    ["its end is too near", {}, HEALTH.settleMs - 1],
  ])("tells of an hour that is not whole, and judges it when it is: %s", async (_, missing, afterMs) => {
    const { run, world, told, reports, health } = rig();
    const whole = { ...world };
    Object.assign(world, missing);
    await run(END + afterMs);
    await run(END + afterMs);
    expect([reports.length, told.length]).toEqual([1, 0]);
    expect(health.hours("Paid")).toMatchObject([{ hour: HOUR, isFinal: false }]);
    // What was late has all of it.
    Object.assign(world, whole);
    await run(END + HEALTH.idleMs);
    expect([reports.length, told.length]).toEqual([2, 1]);
    expect(health.hours("Paid")).toMatchObject([{ hour: HOUR, isFinal: true }]);
  });

  it("judges hours in their order: none while the one before it waits", async () => {
    const { run, world, health } = rig();
    await run(SETTLED);
    world.cursor = 9;
    await run(SETTLED + 2 * HOUR_MS);
    expect(health.judged?.hour).toBe(HOUR);
    world.cursor = 11;
    await run(SETTLED + 2 * HOUR_MS);
    expect(health.judged?.hour).toBe(HOUR + 2 * HOUR_MS);
  });

  it("goes on where it was cut off: an event that was judged is asked for no more, and told of once", async () => {
    const { run, told, asked, deps, health } = rig(["Bought", "Paid", "Sold"]);
    let calls = 0;
    const cut: ContractHealthDeps = {
      ...deps,
      async ask(sql) {
        if (++calls > 3) throw new Error("the isolate is gone");
        return deps.ask(sql);
      },
    };
    const { part } = (await evaluateHours(cut, SETTLED, {}))!;
    await expect(evaluateHours(cut, SETTLED, { part: part! })).rejects.toThrow("gone");
    expect(health.judged).toBeNull();
    expect(told.map(({ eventName }) => eventName)).toEqual(["Bought"]);
    await run(SETTLED);
    expect(told.map(({ eventName }) => eventName)).toEqual(["Bought", "Paid", "Sold"]);
    expect(asked.filter((sql) => sql.includes("'Bought'"))).toHaveLength(2);
  });

  it("reports the hour that goes on where it is told to, and judges nothing by it", async () => {
    const { run, told, reports } = rig();
    await run(HOUR + 30 * MINUTE_MS, { now: true });
    expect(reports.map(({ hour }) => hour)).toEqual([HOUR - HOUR_MS, HOUR]);
    expect(told).toEqual([]);
  });

  it("counts without shares where all of it is too much to read, and says so where nothing can be counted", async () => {
    const { run, world, told, reports } = rig();
    world.refuses = "properties[";
    await run(SETTLED);
    expect(reports[0]).toMatchObject({
      unread: "422 The statement reads too much: x",
      sources: [{ events: 20, present: null }],
    });
    world.refuses = "from events";
    await run(SETTLED + HOUR_MS);
    expect(reports[1]).toMatchObject({ unread: "422 The statement reads too much: x", sources: [] });
    expect(told).toEqual([]);
  });

  it("promise 9: asks for HEALTH.events events, HEALTH.eventsPerSlice a slice, and tells of HEALTH.sources sources and HEALTH.fields fields", async () => {
    const { events, eventsPerSlice, sources, fields } = HEALTH;
    const named = (count: number) => Array.from({ length: count }, (_, i) => `event ${String(i).padStart(4, "0")}`);
    const all = rig(named(events));
    const slices = await all.run(SETTLED);
    expect([all.reports.length, all.health.judged?.leftEvents]).toEqual([events, 0]);
    expect(slices).toBe(Math.ceil(events / eventsPerSlice) + 2);
    const more = rig(named(events + 1));
    await more.run(SETTLED);
    expect([more.reports.length, more.health.judged?.leftEvents]).toEqual([events, 1]);

    const wide = rig();
    wide.world.sources = named(sources + 1);
    const properties = named(fields + 1);
    wide.world.contracts = [contract("Paid", properties)];
    await wide.run(SETTLED);
    expect(wide.reports[0]).toMatchObject({ left: 1, fields: properties.slice(0, fields) });
    // The one that sent the least is left out.
    expect(wide.reports[0]!.sources.map(({ source }) => source).sort()).toEqual(named(sources + 1).slice(1));
  });
});
