/** What changed in minutes after they were final, in words. Pure: times are arguments. */
import type { ChangeJson } from "../../../durable-objects/minute-rollup/read-changes.ts";
import { formatClock, formatCount, formatMoney } from "../shell/format.ts";
import type { LiveMinute } from "./minutes.ts";

export type Change = Pick<ChangeJson, "minute" | "at" | "version" | "reason" | "events" | "revenue" | "grain">;

/** By start of the minute, milliseconds; newest change first. */
export type Corrections = ReadonlyMap<number, readonly Change[]>;

export const isCorrected = (minute: LiveMinute | null): boolean => (minute?.version ?? 1) > 1;

/** Changes of minutes, newest first, as the rollups tell them. An hour's stand for minutes that no screen shows. */
export function byMinute(changes: readonly Change[]): Corrections {
  return Map.groupBy(
    changes.filter(({ grain }) => grain === "minute"),
    ({ minute }) => Date.parse(minute),
  );
}

/** Names what is corrected, and in which version: it changes when there is something new to ask for. */
export function correctedKey(
  minutes: readonly { readonly start: number; readonly minute: LiveMinute | null }[],
): string {
  return minutes
    .filter(({ minute }) => isCorrected(minute))
    .map(({ start, minute }) => `${start}:${minute!.version}`)
    .join(" ");
}

const REASONS = {
  late: "came late",
  correction: "by a correction",
  rebuild: "by a rebuild",
} as const satisfies Record<Change["reason"], string>;

/** `+3 events, +€12.00, came late (08:31:05)`. */
export function changeText({ at, events, revenue, reason }: Change): string {
  const sums = Object.entries(revenue).map(([currency, value]) =>
    signed(value, formatMoney(Math.abs(value), currency)),
  );
  const counted =
    events === 0
      ? []
      : [`${signed(events, formatCount(Math.abs(events)))} ${Math.abs(events) === 1 ? "event" : "events"}`];
  const changed = [...counted, ...sums];
  return `${changed.length > 0 ? changed.join(", ") : "other values"}, ${REASONS[reason]} (${formatClock(Date.parse(at))})`;
}

const signed = (value: number, text: string): string => `${value < 0 ? "\u2212" : "+"}${text}`;
