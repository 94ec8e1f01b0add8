/** Times are microseconds since the Unix epoch, UTC, in a `number`; days are `YYYY-MM-DD`, UTC. */
import { DAY_MS } from "./limits.ts";

export const MICROS_PER_MS = 1_000;
export const DAY_US = DAY_MS * MICROS_PER_MS;

/** `2026-11-22` for a time in microseconds. */
export function dayOf(us: number): string {
  return new Date(Math.floor(us / MICROS_PER_MS)).toISOString().slice(0, 10);
}

/** `2026-11-22T05:02:51.123456Z`: always six digits, so that text order is time order. */
export function isoMicros(us: number): string {
  const ms = Math.floor(us / MICROS_PER_MS);
  const rest = us - ms * MICROS_PER_MS;
  return `${new Date(ms).toISOString().slice(0, 23)}${String(rest).padStart(3, "0")}Z`;
}

const ISO_FRACTION = /\.(\d{1,9})\d*(?=Z|[+-]\d\d:?\d\d$|$)/;

/**
 * Reads an ISO 8601 time, keeping microseconds, or an epoch number (seconds, milliseconds or microseconds by size).
 * A time without a zone is UTC. @returns microseconds, or null where it is no time.
 */
export function parseTime(value: unknown): number | null {
  if (typeof value === "number") return Number.isFinite(value) ? epochMicros(value) : null;
  if (typeof value !== "string" || value.length > 64) return null;
  const text = value.trim();
  if (/^-?\d{1,17}(\.\d+)?$/.test(text) && !/^\d{4}$/.test(text)) return epochMicros(Number(text));
  if (!/^[+-]?\d{4,6}-\d\d(-\d\d)?/.test(text)) return null;
  const zoned = /(Z|[+-]\d\d:?\d\d)$/i.test(text) || !/[T ]\d\d:/.test(text) ? text : `${text}Z`;
  const fraction = ISO_FRACTION.exec(zoned)?.[1] ?? "";
  const ms = Date.parse(zoned.replace(ISO_FRACTION, "").replace(" ", "T"));
  if (!Number.isFinite(ms)) return null;
  return ms * MICROS_PER_MS + Number(fraction.slice(0, 6).padEnd(6, "0"));
}

function epochMicros(value: number): number | null {
  const size = Math.abs(value);
  const us = size < 1e11 ? value * 1e6 : size < 1e14 ? value * 1e3 : value;
  return Math.abs(us) <= 8.64e18 && Number.isSafeInteger(Math.round(us)) ? Math.round(us) : null;
}
