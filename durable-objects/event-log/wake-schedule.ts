/**
 * When to wake which sink. A sink that is behind is woken at once if it was not woken in the last second, else as soon
 * as that second is over. While nothing moves, neither head nor cursor, the wait doubles up to ten seconds: a sink that
 * is down does not fill its queue. Pure; lost with the memory, it errs towards one wake-up too many.
 */

import { LOG } from "../../r2-layout/limits.ts";
import type { SinkName } from "../sink-cursor/api.ts";

interface Woken {
  readonly atMs: number;
  readonly head: number;
  readonly cursor: number;
  readonly waitMs: number;
}

export class WakeSchedule {
  readonly #woken = new Map<SinkName, Woken>();

  /** Milliseconds when the sink is to be woken next, or null while it is not behind. */
  dueAt(sink: SinkName, head: number, cursor: number): number | null {
    if (cursor >= head) return null;
    const woken = this.#woken.get(sink);
    if (!woken) return 0;
    const moved = woken.head !== head || woken.cursor !== cursor;
    return woken.atMs + (moved ? LOG.wakeIntervalMs : woken.waitMs);
  }

  /** Milliseconds from when on another wake-up would not be one too many. */
  allowedAt(sink: SinkName): number {
    const woken = this.#woken.get(sink);
    return woken ? woken.atMs + LOG.wakeIntervalMs : 0;
  }

  sent(sink: SinkName, head: number, cursor: number, nowMs: number): void {
    const before = this.#woken.get(sink);
    const still = before !== undefined && before.head === head && before.cursor === cursor;
    const waitMs = still ? Math.min(LOG.wakeIntervalMaxMs, before.waitMs * 2) : LOG.wakeIntervalMs;
    this.#woken.set(sink, { atMs: nowMs, head, cursor, waitMs });
  }
}
