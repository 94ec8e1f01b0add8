/** What waits on the queues of events, by the queues' own word. */
import { shardName } from "../../../r2-layout/keys.ts";
import { SECOND_MS } from "../../../r2-layout/limits.ts";
import { QUEUE_AGE_OBJECTIVE_S } from "../../objectives.ts";
import type { QueueBacklog } from "../../operations-json.ts";
import { within } from "../pressure.ts";

/** A queue that hangs must not take the figures of the others along. */
const ANSWER_MS = 2 * SECOND_MS;

/** The slice of a queue that tells how much waits on it. */
export interface MeteredQueue {
  metrics(): Promise<{
    readonly backlogCount: number;
    readonly backlogBytes: number;
    readonly oldestMessageTimestamp?: Date;
  }>;
}

/** Asks all at once. A queue that does not answer leaves its figures out: the others are wanted all the more then. */
export function queueBacklogs(queues: readonly MeteredQueue[], nowMs: number): Promise<QueueBacklog[]> {
  return Promise.all(
    queues.map(async (queue, shard): Promise<QueueBacklog> => {
      const known = { queue: `events-${shard}`, shard, objective_seconds: QUEUE_AGE_OBJECTIVE_S };
      try {
        const {
          backlogCount,
          backlogBytes,
          oldestMessageTimestamp: oldest,
        } = await within(ANSWER_MS, `the queue of shard ${shardName(shard)}`, queue.metrics());
        const since = oldest?.getTime();
        const age = backlogCount > 0 && since ? Math.max(0, (nowMs - since) / 1_000) : null;
        return { ...known, messages: backlogCount, bytes: backlogBytes, oldest_seconds: age };
      } catch (error) {
        console.warn(JSON.stringify({ at: "queue metrics", queue: known.queue, error: String(error) }));
        return { ...known, messages: null, bytes: null, oldest_seconds: null };
      }
    }),
  );
}
