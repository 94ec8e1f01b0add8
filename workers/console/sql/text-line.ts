/** Where a place of a text stands for people. Pure. */
import type { Place } from "./error-place.ts";

/** Lines and columns count from 1. */
export function lineOf(text: string, { from }: Place): { line: number; column: number } {
  const before = text.slice(0, from).split("\n");
  return { line: before.length, column: before.at(-1)!.length + 1 };
}
