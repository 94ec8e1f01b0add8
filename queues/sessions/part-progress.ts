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

/**
 * Calls `apply` for the parts of a step that are not done, in order. It answers how many calls it made, or null where
 * too few are left; then this invocation is over. @returns whether all parts are done. False too while another drain has them.
 */
export async function applyParts(
  cursors: ObjectNamespace<SinkCursorApi>,
  group: string,
  step: Pick<SinkStep, "shard" | "token" | "to">,
  apply: (part: number) => Promise<number | null>,
): Promise<boolean> {
  const progress = cursors.getByName(`${group}-parts:${shardName(step.shard)}`);
  const lease = await progress.lease(`token ${step.token}`, SINK.leaseMs);
  if (!lease) return false;
  try {
    const start = step.to * PARTS;
    if (lease.cursor > start + PARTS) throw new Error(`parts of seq ${step.to} are behind those of a later one`);
    let at = lease.cursor;
    for (let part = Math.max(0, at - start); part < PARTS; part++) {
      const calls = await apply(part);
      if (calls === null) return false;
      if (calls === 0) continue;
      const moved = await progress.advance(lease.token, at, start + part + 1, { events: 0, quarantined: 0 });
      if (!moved.moved) return false;
      at = moved.cursor;
    }
    return true;
  } finally {
    await progress.release(lease.token);
  }
}
