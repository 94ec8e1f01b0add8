/**
 * Pages of one user's or device's events, from wherever they are: the timeline, with anonymous events stitched in where
 * that is asked for, or the lake. One function for a page and for an export, so that both show the same.
 */
import type { EventsPage } from "../../durable-objects/user-timeline/api.ts";
import { readDeviceEvents } from "../../durable-objects/user-timeline/device-view.ts";
import { parseCursor } from "../../durable-objects/user-timeline/event-order.ts";
import { readStitchedEvents } from "../../durable-objects/user-timeline/stitched-view.ts";
import { timelineName } from "../../durable-objects/user-timeline/timeline-name.ts";
import { readUserEvents } from "../../durable-objects/user-timeline/user-view.ts";
import { isoMicros } from "../../r2-layout/time.ts";
import type { Env } from "./env.ts";
import { readPastEvents } from "./past-events.ts";
import { isPast, type PagesAsked } from "./timelines.ts";

export interface PageReader {
  readonly env: Pick<Env, "USER_TIMELINE" | "IDENTITY_KEY" | "BUCKET" | "LAKE_CATALOG">;
  readonly generation: () => Promise<number>;
  /** Microseconds. */
  readonly now: () => number;
}

export interface AnyPage extends EventsPage {
  /** Of the lake: everything from here on has been looked at. */
  readonly reached?: string;
}

/** @throws Refused as `readPastEvents`. */
export async function readUserPage(reader: PageReader, id: string, asked: PagesAsked): Promise<AnyPage> {
  const { env, generation, now } = reader;
  const timelines = { timelines: env.USER_TIMELINE, identityKey: env.IDENTITY_KEY, generation };
  const { range, stitch, ...plain } = asked;
  const request = { ...plain, ...range };
  if (!range || !isPast(range, now())) {
    // A timeline lets go of events for their number, too: a page that would lack some is read from the lake.
    const whole = { ...request, whole: range !== null };
    const { lacking, ...page } = stitch
      ? await readStitchedEvents(timelines, id, whole)
      : await readUserEvents(timelines, id, whole);
    if (!lacking) return page;
  }
  const name = timelineName(env.IDENTITY_KEY, { kind: "user", id }, await generation());
  const { active_days: activeDays } = await env.USER_TIMELINE.getByName(name).profile();
  const past = { bucket: env.BUCKET, catalog: env.LAKE_CATALOG };
  // Who signed in next does not matter there: the lake is asked for one user's events.
  const cursor = request.cursor?.split(".", 1)[0];
  const { cursor: _, ...rest } = request;
  const page = await readPastEvents(past, { ...rest, ...range!, ...(cursor && { cursor }), userId: id, activeDays });
  const reached = page.next === null ? range!.from : parseCursor(page.next)!.time;
  return { ...page, reached: isoMicros(Math.max(0, reached)) };
}

/** A device's past is not asked for: the lake is looked through by user. */
export function readDevicePage(reader: PageReader, id: string, asked: PagesAsked): Promise<AnyPage> {
  const { env, generation } = reader;
  const { range, stitch: _, ...plain } = asked;
  const timelines = { timelines: env.USER_TIMELINE, identityKey: env.IDENTITY_KEY, generation };
  return readDeviceEvents(timelines, id, { ...plain, ...range });
}
