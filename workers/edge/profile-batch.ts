/**
 * Profiles of many users in one answer. Each is one call to one object, a few at a time. A timeline that fails, or is slow,
 * costs its neighbours nothing: its user is answered with a reason, and may be asked for again.
 */
import type { OnlineProfile } from "../../durable-objects/user-timeline/profile-api.ts";
import { boundedParallel } from "../../queues/sessions/bounded-parallel.ts";
import { PROFILE } from "../../r2-layout/limits.ts";
import { within } from "./pressure.ts";

/** @returns by user, null where no profile came */
export async function readProfiles(
  userIds: readonly string[],
  read: (userId: string) => Promise<OnlineProfile>,
  answerMs: number = PROFILE.answerMs,
): Promise<Map<string, OnlineProfile | null>> {
  const found = new Map<string, OnlineProfile | null>();
  await boundedParallel(new Set(userIds), PROFILE.callsAtOnce, async (userId) => {
    try {
      found.set(userId, await within(answerMs, "a timeline", read(userId)));
    } catch (error) {
      console.error(JSON.stringify({ reason: "upstream_unavailable", error: String(error) }));
      found.set(userId, null);
    }
  });
  return found;
}
