import { expect, it } from "vitest";
import type { CorrectionSpec } from "../../../durable-objects/replay-desk/api.ts";
import { clockOfEachTest } from "./replay-rig.ts";
import { begin, deliver, desk, drain, lake, real, rollup, runJob, send, timeline } from "./whole-pipeline.ts";

const clock = clockOfEachTest();

const retract = (device: string): CorrectionSpec => ({
  kind: "correction",
  filter: { where: { anonymous_id: [device] } },
  change: { kind: "retract" },
  note: null,
  rate: 1_000_000,
});
const REBUILD = { kind: "rebuild", sinks: ["rollups"], from: null, to: null, range: null, rate: 1e6 } as const;

/** Objects of a namespace that refuse one method for good. */
function refusing<Key extends "MINUTE_ROLLUP" | "USER_TIMELINE">(key: Key, method: string) {
  const namespace = real[key] as { getByName(name: string): object };
  const getByName = (name: string) =>
    new Proxy(namespace.getByName(name), {
      get: (of, asked) => {
        if (asked === method) {
          return async () => {
            throw new RangeError(`no ${method}`);
          };
        }
        const callable = of as Record<PropertyKey, (...args: unknown[]) => unknown>;
        return (...args: unknown[]) => callable[asked]!(...args);
      },
    });
  return { ...real, [key]: { getByName } } as typeof real;
}

async function failedFor(to: typeof real): Promise<void> {
  await send(0, [
    { event_id: "a", anonymous_id: "wrong" },
    { event_id: "b", anonymous_id: "other" },
    { event_id: "c" },
  ]);
  await drain();
  await begin("fix", retract("wrong"), "confirm");
  await runJob("fix", clock, ["failed"], to);
  expect((await desk().act("fix", "cancel")).kind).toBe("refused");
}

async function setAside(): Promise<string | null> {
  expect(await desk().act("fix", "abandon")).toMatchObject({ kind: "accepted" });
  return (await runJob("fix", clock, ["abandoned"])).outcome;
}

it("a correction that rollups refuse, set aside, is in nobody's way: a rebuild of rollups brings them into the rule's state", async () => {
  await failedFor(refusing("MINUTE_ROLLUP", "swap"));
  expect(await setAside()).toMatch(/stage rollups: .* a rebuild .*\(rollups\)/);
  expect([await lake(), await timeline("device", "wrong"), await rollup()]).toEqual([
    { "0:b": "other", "0:c": "phone" },
    [],
    3,
  ]);
  await begin("anew", { ...REBUILD, swap: "automatic" });
  await runJob("anew", clock, ["waiting_for_confirmation"]);
  expect(await rollup()).toBe(2);
});

it("it is resumed where it stood, under the next name for the window that was let go", async () => {
  await failedFor(refusing("MINUTE_ROLLUP", "swap"));
  await setAside();
  expect((await desk().act("fix", "resume")).kind).toBe("accepted");
  expect(await runJob("fix", clock)).toMatchObject({ outcome: "1 events" });
  expect(await rollup()).toBe(2);
});

it("a correction that a timeline refuses, set aside, lets the next one through, and then stays aside", async () => {
  await failedFor(refusing("USER_TIMELINE", "amend"));
  await begin("next", retract("other"), "confirm");
  for (let n = 0; n < 5; n++) await deliver("replays", [{ job: "next" }]);
  expect(await desk().job("next")).toMatchObject({ state: "running", waitsFor: "job fix" });
  expect(await setAside()).toMatch(/stage timelines: .*\(sessions, rollups\)/);
  await runJob("next", clock);
  expect([await lake(), await timeline("device", "other"), await timeline("device", "wrong")]).toEqual([
    { "0:c": "phone" },
    [],
    ["a"],
  ]);
  expect(await desk().act("fix", "resume")).toMatchObject({ detail: expect.stringContaining("later rule") });
  await begin("anew", { ...REBUILD, sinks: ["sessions"], swap: "automatic" });
  await runJob("anew", clock, ["waiting_for_confirmation"]);
  expect([await timeline("device", "wrong"), await timeline("device", "phone")]).toEqual([[], ["c"]]);
});
