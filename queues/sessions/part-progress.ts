/**
 * How far an oversized step has come. One segment may hold more subjects than an invocation may call, and a cursor
 * cannot stand within a segment; so its subjects are applied in `PARTS` parts, by a hash, and the parts done are counted in a
 * SinkCursor object of their own, as seq * PARTS + parts. A later seq begins anew. Each build of the store has its own.
 */
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { SinkCursorApi } from "../../durable-objects/sink-cursor/api.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { SINK } from "../../r2-layout/limits.ts";
import type { SinkStep } from "../sink.ts";
import { PARTS } from "./subjects.ts";

/** What a part took, and what it counted, if anything is to be summed over the parts. */
export interface PartDone {
  readonly calls: number;
  readonly counted?: number;
}

/**
 * Calls `apply` for the parts of a step that are not done, in order. It answers null where too few calls are left; then
 * this invocation is over. @returns null too while another has the step; once all parts are done, what they counted.
 */
export async function applyParts(
  cursors: ObjectNamespace<SinkCursorApi>,
  group: string,
  step: Pick<SinkStep, "shard" | "token" | "to">,
  apply: (part: number) => Promise<PartDone | null>,
): Promise<{ readonly counted: number } | null> {
  const progress = cursors.getByName(`${group}-parts:${shardName(step.shard)}`);
  const lease = await progress.lease(`token ${step.token}`, SINK.leaseMs);
  if (!lease) return null;
  try {
    const start = step.to * PARTS;
    if (lease.cursor > start + PARTS) throw new Error(`parts of seq ${step.to} are behind those of a later one`);
    let at = lease.cursor;
    for (let part = Math.max(0, at - start); part < PARTS; part++) {
      const done = await apply(part);
      if (done === null) return null;
      if (done.calls === 0) continue;
      const moved = await progress.advance(lease.token, at, start + part + 1, counts(done.counted ?? 0, 0));
      if (!moved.moved) return null;
      at = moved.cursor;
    }
    return { counted: await report(progress, lease.token, at) };
  } finally {
    await progress.release(lease.token);
  }
}

/** The counts of this cursor are its own: what its parts counted, and of that what was reported with steps that ended. */
const counts = (counted: number, reported: number) => ({ events: counted, quarantined: reported });

async function report(progress: SinkCursorApi, token: number, at: number): Promise<number> {
  const { applied } = await progress.status();
  const counted = applied.events - applied.quarantined;
  if (counted > 0) await progress.advance(token, at, at, counts(0, counted));
  return counted;
}
