/** The Worker under test in the `edge` project: the edge, every object class, and a consumer that keeps its messages. */
import edge from "../../../workers/edge/index.ts";

export * from "../../../workers/objects/index.ts";

/** Bodies of messages, in the order the queues delivered them. */
export const delivered: unknown[] = [];

export default {
  fetch: edge.fetch,
  queue(batch: MessageBatch) {
    for (const message of batch.messages) delivered.push(message.body);
  },
};
