/** What the online store says of a user against the events that the user must have. */
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { ProfileStoreApi } from "../../durable-objects/user-timeline/profile-api.ts";
import { WINDOWS } from "../../durable-objects/user-timeline/window-sums.ts";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import type { Fail } from "./audit.ts";

/** @param events of the timeline of this name, all of them */
export async function auditProfile(
  timelines: ObjectNamespace<Pick<ProfileStoreApi, "online">>,
  name: string,
  events: readonly EventRow[],
  fail: Fail,
): Promise<void> {
  // A device has none.
  if (!events.some(({ user_id: user }) => user)) return;
  const { windows } = await timelines.getByName(name).online();
  for (const window of WINDOWS) {
    const { from, counts } = windows[window];
    const expected = new Map<string, number>();
    for (const { event_name: event, event_time: at, received_at: received } of events) {
      if (Math.min(at, received) >= from) expected.set(event, (expected.get(event) ?? 0) + 1);
    }
    const found = new Map(Object.entries(counts));
    for (const event of new Set([...found.keys(), ...expected.keys()])) {
      if (found.get(event) === expected.get(event)) continue;
      fail(
        `profile ${name.slice(0, 8)}: ${found.get(event) ?? 0} ${event} in ${window}, not ${expected.get(event) ?? 0}`,
      );
    }
  }
}
