/**
 * Keeps the lease of a step that takes long: thousands of calls may outlast `SINK.leaseMs`, and a second drain would then
 * do the same work once more. A move of the cursor from where it is to where it is changes nothing and renews the lease.
 */
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { SinkCursorApi } from "../../durable-objects/sink-cursor/api.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { SINK } from "../../r2-layout/limits.ts";
import type { SinkStep } from "../sink.ts";

const RENEW_MS = SINK.leaseMs / 4;

/** @param group whose cursor it is. @returns to be awaited before each call. It throws once the lease is lost: what is not begun, another drain does. */
export function leaseKeeper(
  cursors: ObjectNamespace<Pick<SinkCursorApi, "advance">>,
  { shard, token, from }: Pick<SinkStep, "shard" | "token" | "from">,
  group = "sessions",
  now: () => number = Date.now,
): () => Promise<void> {
  let renewedAt = now();
  let renewal: Promise<void> | null = null;
  const renew = async () => {
    const cursor = cursors.getByName(`${group}:${shardName(shard)}`);
    const { moved } = await cursor.advance(token, from, from, { events: 0, quarantined: 0 });
    if (!moved) throw new Error(`the lease of shard ${shard} went to another drain`);
    renewedAt = now();
    renewal = null;
  };
  return async () => {
    if (now() - renewedAt < RENEW_MS) return;
    renewal ??= renew();
    await renewal;
  };
}
