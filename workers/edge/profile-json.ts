/** A profile of the online store as it leaves: times as text, and the members that were asked for. */
import type { OnlineProfile } from "../../durable-objects/user-timeline/profile-api.ts";
import type { Touch } from "../../durable-objects/user-timeline/touch.ts";
import { WINDOWS } from "../../durable-objects/user-timeline/window-sums.ts";
import { isoMicros } from "../../r2-layout/time.ts";
import { badParameter } from "./parameters.ts";
import { profileJson } from "./timelines.ts";

const MICROS_PER_SECOND = 1_000_000;

/** Members that can be asked for; `user_id` and `as_of` are always there. */
const FIELDS = [
  "first_seen",
  "last_seen",
  "events",
  "counts",
  "revenue",
  "last_values",
  "devices",
  "active_days",
  "recency",
  "frequency",
  "windows",
  "first_touch",
  "last_touch",
] as const;
export type ProfileField = (typeof FIELDS)[number];

/** @param names null: all of them. @throws Refused */
export function profileFields(names: readonly unknown[] | null): ReadonlySet<ProfileField> {
  const known = new Set<unknown>(FIELDS);
  const other = names?.find((name) => !known.has(name));
  if (other !== undefined || names?.length === 0) throw badParameter("fields", `of ${FIELDS.join(", ")}`);
  return new Set((names as readonly ProfileField[] | null) ?? FIELDS);
}

export function onlineProfileJson(
  userId: string,
  profile: OnlineProfile,
  fields: ReadonlySet<ProfileField>,
): Record<string, unknown> {
  const { as_of: now, last_at: lastAt, active_days_30d, windows, first_touch, last_touch, ...rest } = profile;
  /** Never less than none: a sender's clock may be ahead. */
  const seconds = (at: number) => Math.max(0, Math.floor((now - at) / MICROS_PER_SECOND));
  const json: Record<string, unknown> = {
    ...profileJson(userId, rest),
    recency: {
      seconds: rest.last_seen === null ? null : seconds(rest.last_seen),
      by_event: Object.fromEntries(
        Object.entries(lastAt).map(([name, at]) => [name, { at: isoMicros(at), seconds: seconds(at) }]),
      ),
    },
    frequency: { active_days_30d, active_days: rest.active_days.length },
    windows: Object.fromEntries(
      WINDOWS.map((name) => {
        const { incomplete_before: incomplete, ...window } = windows[name];
        const began = incomplete === undefined ? {} : { incomplete_before: isoMicros(incomplete) };
        return [name, { ...window, from: isoMicros(window.from), ...began }];
      }),
    ),
    first_touch: touchJson(first_touch),
    last_touch: touchJson(last_touch),
  };
  for (const field of FIELDS) if (!fields.has(field)) delete json[field];
  return { as_of: isoMicros(now), ...json };
}

const touchJson = (touch: Touch | null) => touch && { at: isoMicros(touch.at), ...touch.columns };
