import { describe, expect, it, vi } from "vitest";
import type { OnlineProfile } from "../../../durable-objects/user-timeline/profile-api.ts";
import { SubjectState } from "../../../durable-objects/user-timeline/subject-state.ts";
import { PROFILE } from "../../../r2-layout/limits.ts";
import { readProfiles } from "../../../workers/edge/profile-batch.ts";

const profile: OnlineProfile = new SubjectState({ kind: "user", id: "ann" }).online(0);
const ids = Array.from({ length: PROFILE.batchUsers }, (_, i) => `user ${i}`);

describe("a batch of profiles", () => {
  it("has PROFILE.callsAtOnce calls under way at most, and asks for a user who is named twice once", async () => {
    let underWay = 0;
    let most = 0;
    const asked: string[] = [];
    await readProfiles([...ids, ...ids], async (id) => {
      asked.push(id);
      most = Math.max(most, ++underWay);
      await Promise.resolve();
      underWay--;
      return profile;
    });
    expect(most).toBe(PROFILE.callsAtOnce);
    expect(asked).toEqual(ids);
  });

  it("answers the others where a timeline fails, or has not answered within PROFILE.answerMs", async () => {
    vi.useFakeTimers();
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    try {
      let isSettled = false;
      const found = readProfiles(ids, async (id) => {
        if (id === "user 1") throw new Error("gone");
        if (id === "user 2") return new Promise<never>(() => {});
        return profile;
      }).finally(() => {
        isSettled = true;
      });
      await vi.advanceTimersByTimeAsync(PROFILE.answerMs - 1);
      expect(isSettled).toBe(false);
      await vi.advanceTimersByTimeAsync(1);
      const missing = [...(await found)].filter(([, one]) => one === null).map(([id]) => id);
      expect(missing.sort()).toEqual(["user 1", "user 2"]);
      expect(log).toHaveBeenCalledTimes(2);
    } finally {
      vi.useRealTimers();
      log.mockRestore();
    }
  });
});
