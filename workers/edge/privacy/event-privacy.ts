/** What one request's events need for their PII policies, and what of a mark may be kept. */
import type { PiiPolicy, Secrets } from "../../../r2-layout/contracts/pii-policy.ts";
import type { DerivedEvent } from "../../../r2-layout/event-columns.ts";
import type { QuarantineMark } from "../../../r2-layout/log-line.ts";
import type { SubjectHasher } from "../../../r2-layout/subjects.ts";
import { MICROS_PER_MS } from "../../../r2-layout/time.ts";
import type { Needs, PrivacyKeys } from "./privacy-keys.ts";

export interface PrivacyParts {
  readonly keys: Pick<PrivacyKeys, "known">;
  readonly hash: SubjectHasher;
}

export class EventPrivacy {
  readonly #parts: PrivacyParts;
  readonly #receivedAtMs: number;

  /** @param receivedAt microseconds */
  constructor(parts: PrivacyParts, receivedAt: number) {
    this.#parts = parts;
    this.#receivedAtMs = receivedAt / MICROS_PER_MS;
  }

  /** A key is the user's; where there is none, the device's. */
  needs(policy: PiiPolicy, { user_id, anonymous_id }: Pick<DerivedEvent, "user_id" | "anonymous_id">): Needs {
    const { hash } = this.#parts;
    let person: string | null = null;
    if (policy.needsKey && user_id) person = hash({ kind: "user", id: user_id });
    else if (policy.needsKey && anonymous_id) person = hash({ kind: "device", id: anonymous_id });
    return { saltAt: policy.needsSalt ? this.#receivedAtMs : null, person };
  }

  known(needs: Needs): Secrets | null {
    return this.#parts.keys.known(needs);
  }
}

/** Members that a policy looks into. */
const MEMBERS = ["properties", "traits", "context"];

/**
 * A mark of an event with a policy: of a whole member that is no object, and may hold what is treated, only its kind is told, the first
 * word. Within a member it is the contract's check that leaves values out, because it knows the field.
 */
export function withoutValue(mark: QuarantineMark): QuarantineMark {
  if (mark.actual === undefined || !MEMBERS.includes(mark.field ?? "")) return mark;
  return { ...mark, actual: mark.actual.split(" ")[0]! };
}
