/** Ids for tests: uniform, from a seed. */
import { idHash } from "../../../r2-layout/event-id.ts";

export function packedIds(from: number, to: number, space = "test"): Uint8Array {
  const ids = new Uint8Array((to - from) * 16);
  for (let i = from; i < to; i++) ids.set(idHash("event", space, String(i)), (i - from) * 16);
  return ids;
}

/** The numbered ids, packed. */
export function pickIds(numbers: readonly number[], space = "test"): Uint8Array {
  const ids = new Uint8Array(numbers.length * 16);
  numbers.forEach((number, at) => {
    ids.set(idHash("event", space, String(number)), at * 16);
  });
  return ids;
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
