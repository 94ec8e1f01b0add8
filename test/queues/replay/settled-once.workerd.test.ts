import { expect, it } from "vitest";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import type { JobChange, ReplayDeskApi } from "../../../durable-objects/replay-desk/api.ts";
import { dayOf } from "../../../r2-layout/time.ts";
import { clockOfEachTest } from "./replay-rig.ts";
import { begin, desk, drain, real, runJob, send } from "./whole-pipeline.ts";

const clock = clockOfEachTest();

it.each(["save", "release"] as const)(
  "promise 3: what was settled is counted once where the answer of the last %s is lost",
  async (call) => {
    await send(0, [{ event_id: "a" }]);
    await send(1, [{ event_id: "a" }]);
    await drain();
    await begin("audit", { kind: "audit", days: [dayOf(Date.now() * 1_000)], rate: 1_000_000 });
    let lost = 0;
    let recorded = false;
    const flaky = new Proxy(desk(), {
      get: (of, name) => {
        // Called on the stub itself: every member of one is a stub, `apply` too.
        const callable = of as unknown as Record<PropertyKey, (...args: unknown[]) => Promise<unknown>>;
        return async (...args: unknown[]) => {
          const isRecord = name === "save" && (args[2] as JobChange).settled !== undefined;
          recorded ||= isRecord;
          const isLost = lost === 0 && (call === "save" ? isRecord : recorded && name === "release");
          if (isLost && call === "release") {
            lost++;
            throw new Error("network: connection lost before the call");
          }
          const answer = await callable[name]!(...args);
          if (!isLost) return answer;
          lost++;
          throw new Error("network: connection lost after the call");
        };
      },
    });
    const env = { ...real, REPLAY_DESK: { getByName: () => flaky } as unknown as ObjectNamespace<ReplayDeskApi> };
    await runJob("audit", clock, ["done"], env);
    expect(lost).toBe(1);
    expect((await desk().overview()).settled).toMatchObject([{ cause: "repeated", events: 1 }]);
  },
);
