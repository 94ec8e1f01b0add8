/**
 * The name of a UserTimeline: HMAC-SHA256 of kind and identifier, hex. The identifier itself is in no object's name. Builds
 * of the store stand side by side under names of their own, which follow from the first one's: whoever keeps names need
 * not keep whose they are.
 */
import { createHmac } from "node:crypto";
import type { Subject } from "./api.ts";

/** @param generation which build of the store; 0 is the first */
export function timelineName(identityKey: string, subject: Subject, generation = 0): string {
  const name = createHmac("sha256", identityKey).update(`${subject.kind}\n${subject.id}`).digest("hex");
  return nameIn(generation, name);
}

/** @param name as `timelineName` gives it for generation 0 */
export const nameIn = (generation: number, name: string): string => (generation === 0 ? name : `${name}.${generation}`);
