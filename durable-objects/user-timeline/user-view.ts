/**
 * What "this user" shows. Today that is the user's own timeline; events that a device sent before the user signed in
 * will be merged in here, as device-view.ts merges users, without a change for those who call.
 */
import type { ObjectNamespace } from "../namespace.ts";
import type { EventsPage, EventsRequest, UserTimelineApi } from "./api.ts";
import { timelineName } from "./timeline-name.ts";

export interface TimelineReader {
  readonly timelines: ObjectNamespace<Pick<UserTimelineApi, "events" | "users">>;
  readonly identityKey: string;
  /** Which build is read (live-generation.ts); absent: the first. */
  readonly generation?: () => Promise<number>;
}

export async function readUserEvents(
  reader: TimelineReader,
  userId: string,
  request: EventsRequest,
): Promise<EventsPage> {
  const name = timelineName(reader.identityKey, { kind: "user", id: userId }, await reader.generation?.());
  return reader.timelines.getByName(name).events(request);
}
