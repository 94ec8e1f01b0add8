/** How often a person may ask for their own events: a token bucket, held in memory. */
import { MINUTE_MS, OWN } from "../../r2-layout/limits.ts";

const MS_PER_REQUEST = MINUTE_MS / OWN.requestsPerMinute;

export class OwnRate {
  /** When the bucket would be full, milliseconds. */
  #fullAt = 0;

  /** @returns 0 and counts the request, or how long until the next one is taken. */
  take(nowMs: number): number {
    const from = Math.max(nowMs, this.#fullAt);
    const waitMs = from + MS_PER_REQUEST - nowMs - OWN.requestsAtOnce * MS_PER_REQUEST;
    if (waitMs > 0) return Math.ceil(waitMs);
    this.#fullAt = from + MS_PER_REQUEST;
    return 0;
  }
}
