/** Objects lose their memory at any time, with a deploy or a move: whoever asks them next, of whichever runtime, finds what was on disk. */
import { afterEach, expect, it } from "vitest";
import { type RunningSystem, startSystem } from "./harness.ts";

let system: RunningSystem;
afterEach(() => system?.stop());

it("SQL is answered though the catalog was reset, in that moment and afterwards", async () => {
  system = await startSystem();
  await system.sendBatch([{ type: "track", event: "Hello", userId: "ada", messageId: "hello" }]);
  await system.settled();
  for (const side of [1, 2, 3]) {
    await system.setFaults({
      seed: side,
      rules: [{ target: "reset/LakeCatalog.plan", kind: "reset", rate: 1, times: 1 }],
    });
    expect((await system.sql("select event_name from events")).rows).toEqual([["Hello"]]);
    const fired = (await system.faultReports()).flatMap((report) => report.fired);
    expect(fired).toEqual([{ kind: "reset", target: "reset/LakeCatalog.plan", count: 1 }]);
    await system.setFaults();
    expect((await system.sql("select count(*) from events")).rows).toEqual([[1]]);
  }
});
