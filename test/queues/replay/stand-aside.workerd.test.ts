import { runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import type { JobSpec } from "../../../durable-objects/replay-desk/api.ts";
import { shardName } from "../../../r2-layout/keys.ts";
import { clockOfEachTest } from "./replay-rig.ts";
import { begin, deliver, desk, drain, lake, real, rollup, send, timeline } from "./whole-pipeline.ts";

const clock = clockOfEachTest();

const FIX: JobSpec = {
  kind: "correction",
  filter: { where: { anonymous_id: ["wrong"] } },
  change: { kind: "retract" },
  note: null,
  rate: 1_000_000,
};
const ALL = { sinks: ["rollups"], from: null, to: null, range: null, rate: 1e6 } as const;

/** The rollups of shard 0 have lost everything; then somebody corrects, and only then asks for a replay. */
async function wiped(mend: JobSpec): Promise<void> {
  await send(0, [{ event_id: "a", anonymous_id: "wrong" }, { event_id: "b" }]);
  await send(1, [{ event_id: "c" }]);
  await drain();
  const stub = real.MINUTE_ROLLUP.getByName(`core:${shardName(0)}`);
  await runInDurableObject(stub as never, async (_object, { storage }) => {
    for (const { name } of storage.sql.exec<{ name: string }>(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '\\_cf%' ESCAPE '\\'",
    )) {
      storage.sql.exec(`DELETE FROM ${name}`);
    }
  });
  await begin("fix", FIX, "confirm");
  for (let n = 0; n < 3; n++) await turn("fix");
  expect(await desk().job("fix")).toMatchObject({
    progress: { stage: "wait" },
    waitsFor: expect.stringMatching("rollups"),
  });
  await begin("mend", mend);
}

async function turn(...jobs: readonly string[]): Promise<void> {
  for (const job of jobs) await deliver("replays", [{ job }]);
  await drain();
  clock.pass(120_000);
}

const stateOf = async (id: string) => (await desk().job(id))!.state;

it.each([
  ["rebuild", { kind: "rebuild", ...ALL, swap: "automatic" }],
  ["rebuild that nobody swaps for long", { kind: "rebuild", ...ALL, swap: "manual" }],
  ["fill", { kind: "fill", ...ALL }],
] as const)(
  "rollups that were wiped before a correction: a %s goes first, then the correction, and neither waits for ever",
  async (_, mend) => {
    await wiped(mend);
    for (let n = 0; n < 40 && ((await stateOf("fix")) !== "done" || (await stateOf("mend")) !== "done"); n++) {
      await turn("fix", "mend");
      if ((await stateOf("mend")) === "waiting_for_swap") await desk().act("mend", "swap");
    }
    expect([await stateOf("fix"), await stateOf("mend")]).toEqual(["done", "done"]);
    expect([await lake(), await timeline("device", "wrong"), await rollup()]).toEqual([
      { "0:b": "phone", "1:c": "phone" },
      [],
      2,
    ]);
  },
);

it("a rebuild with the lake waits all the same: built under the rule, the lake would not tell what the rule changes", async () => {
  await wiped({ kind: "rebuild", ...ALL, sinks: ["lake", "rollups"], swap: "automatic" });
  for (let n = 0; n < 3; n++) await turn("fix", "mend");
  expect(await desk().job("mend")).toMatchObject({ waitsFor: "job fix", progress: null });
  expect((await desk().job("fix"))!.waitsFor).toContain("a replay without the lake may mend it");
});
