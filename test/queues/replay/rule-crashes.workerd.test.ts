import { reset } from "cloudflare:test";
import { expect, it } from "vitest";
import type { CorrectionSpec, JobChange, JobMeter, ReplayDeskApi } from "../../../durable-objects/replay-desk/api.ts";
import { runSlice } from "../../../queues/replay/consume.ts";
import type { RuleChange } from "../../../r2-layout/rule.ts";
import { bindings } from "../../bindings.ts";
import { MemoryStores } from "./memory-stores.ts";
import { Crash, clockOfEachTest, desk, fillLog, headOf, runUntil } from "./replay-rig.ts";

const clock = clockOfEachTest();

/** By number: the device is the number modulo 7, so that 1 and 8 are of one. */
const SEGMENTS = [[0, 1], [2, 8], [15]];
const correction = (change: RuleChange): CorrectionSpec => ({
  kind: "correction",
  filter: { where: { anonymous_id: ["device-1"] } },
  change,
  note: null,
  rate: 1_000_000,
});
const CHANGES: readonly (readonly [string, RuleChange, readonly string[]])[] = [
  [
    "a changed device",
    { kind: "set", values: { anonymous_id: "right" } },
    ["event-0@device-0", "event-15@right", "event-1@right", "event-2@device-2", "event-8@right"],
  ],
  ["a retraction", { kind: "retract" }, ["event-0@device-0", "event-2@device-2"]],
];

/** The lake is behind the others, and nobody has read the last segment. */
async function stored(): Promise<MemoryStores> {
  const stores = new MemoryStores();
  await fillLog(SEGMENTS);
  await stores.drain("lake", 1);
  await stores.drain("sessions", 2);
  await stores.drain("rollups", 2);
  return stores;
}

async function correct(id: string, change: RuleChange): Promise<void> {
  await desk().create({ id, spec: correction(change) });
  await desk().act(id, "confirm");
}

function everywhere(stores: MemoryStores): Record<string, string[]> {
  return { lake: stores.lakeRows, timelines: stores.timelineRows, rollups: stores.rollups.live.toSorted() };
}
const alike = (rows: readonly string[]) => {
  const sorted = rows.toSorted();
  return { lake: sorted, timelines: sorted, rollups: sorted };
};

it("a rule comes to every store once wherever the process dies", async () => {
  const [, change, wanted] = CHANGES[0]!;
  const whole = new Crash();
  const first = await stored();
  await correct("whole", change);
  await runUntil("whole", first.consumer(whole), clock, ["done"]);
  expect(everywhere(first)).toEqual(alike(wanted));
  expect(whole.calls).toBeGreaterThan(20);
  for (let after = 0; after < whole.calls; after++) {
    await reset();
    const stores = await stored();
    const crash = new Crash(after);
    await correct("job", change);
    for (let n = 0; !crash.fired && n < 100; n++) {
      await runSlice("job", stores.consumer(crash));
      clock.pass(120_000);
    }
    await runUntil("job", stores.consumer(), clock, ["done"]);
    expect({ after, fired: crash.fired, ...everywhere(stores) }).toEqual({ after, fired: true, ...alike(wanted) });
    // One rule, at one place: whatever was made twice.
    expect((await bindings.EVENT_LOG.getByName("000").rules()).rules.map(({ version }) => version)).toEqual([1]);
    expect(await headOf(0)).toBe(SEGMENTS.length + 1);
  }
}, 240_000);

it("never says that it has read more than there is to be read, and in the end that it has read all", async () => {
  const [, change] = CHANGES[0]!;
  const stores = await stored();
  const deps = stores.consumer();
  const meters: JobMeter[] = [];
  const watched: ReplayDeskApi = new Proxy(deps.desk, {
    get: (of, name: keyof ReplayDeskApi) => {
      const call = of[name] as (...args: unknown[]) => unknown;
      return (...args: unknown[]) => {
        if (name === "save") meters.push((args[2] as JobChange).meter!);
        return call(...args);
      };
    },
  });
  await correct("job", change);
  await runUntil("job", { ...deps, desk: watched }, clock, ["done"]);
  expect(meters.filter(({ read, total }) => read > (total ?? 0))).toEqual([]);
  expect(meters.at(-1)!.read).toBe(meters.at(-1)!.total);
  expect(meters.at(-1)!.read).toBeGreaterThan(5);
});

it.each(CHANGES)("%s comes to every store once with two consumers at each message", async (_name, change, wanted) => {
  const stores = await stored();
  await correct("job", change);
  for (let n = 0; n < 100 && (await desk().job("job"))!.state !== "done"; n++) {
    await Promise.all([runSlice("job", stores.consumer()), runSlice("job", stores.consumer())]);
    clock.pass(120_000);
  }
  expect(everywhere(stores)).toEqual(alike(wanted));
});
