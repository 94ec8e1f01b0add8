/** The name of a UserTimeline: HMAC-SHA256 of kind and identifier, hex. The identifier itself is in no object's name. */
import { createHmac } from "node:crypto";
import type { Subject } from "./api.ts";

export function timelineName(identityKey: string, subject: Subject): string {
  return createHmac("sha256", identityKey).update(`${subject.kind}\n${subject.id}`).digest("hex");
}
