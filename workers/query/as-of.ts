/** Which state of the lake a statement asks: a snapshot by its number, the one in force at a time, or a cut by its name. */
import type { PlanRequest } from "../../durable-objects/lake-catalog/api.ts";
import { CUT } from "../../r2-layout/limits.ts";
import { MICROS_PER_MS, parseTime } from "../../r2-layout/time.ts";

export type AsOf = Pick<PlanRequest, "asOf" | "asOfTime" | "cut">;

/** Below it a number is a snapshot's: at ten commits a second it lasts for three years; above it seconds since 2001. */
const FIRST_EPOCH = 1_000_000_000;

/** @returns null where it is none of them. A day alone is the day's cut, not its midnight. */
export function parseAsOf(value: unknown): AsOf | null {
  const number = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof number === "number" && number < FIRST_EPOCH) {
    return Number.isSafeInteger(number) && number >= 0 ? { asOf: number } : null;
  }
  if (typeof number === "string" && isCutName(number)) return { cut: number };
  const us = parseTime(number);
  return us === null ? null : { asOfTime: Math.floor(us / MICROS_PER_MS) };
}

const VERSION = /\.v[1-9]\d{0,5}$/;
const NAME = new RegExp(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,${CUT.nameChars - 1}}$`);

const TIME_OF_DAY = /^\d{4}-\d\d-\d\dT/;

/** With or without a version. */
const isCutName = (text: string): boolean => NAME.test(text.replace(VERSION, "")) && !TIME_OF_DAY.test(text);
