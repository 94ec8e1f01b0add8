/** The Worker under test in the `edge` project: the edge, the objects it asks, and a consumer that keeps its messages. */
import edge from "../../../workers/edge/index.ts";

export { ContractHealth } from "../../../durable-objects/contract-health/contract-health.ts";
export { ContractRegistry } from "../../../durable-objects/contract-registry/contract-registry.ts";
export { Dashboards } from "../../../durable-objects/dashboards/dashboards.ts";
export { EmailIndex } from "../../../durable-objects/email-index/email-index.ts";
export { EventLog } from "../../../durable-objects/event-log/event-log.ts";
export { LakeCatalog } from "../../../durable-objects/lake-catalog/lake-catalog.ts";
export { LiveHub } from "../../../durable-objects/live-hub/live-hub.ts";
export { MinuteRollup } from "../../../durable-objects/minute-rollup/minute-rollup.ts";
export { PiiAudit } from "../../../durable-objects/pii-audit/pii-audit.ts";
export { PiiKey } from "../../../durable-objects/pii-key/pii-key.ts";
export { ReplayDesk } from "../../../durable-objects/replay-desk/replay-desk.ts";
export { SinkCursor } from "../../../durable-objects/sink-cursor/sink-cursor.ts";
export { TileRegistry } from "../../../durable-objects/tile-rollup/tile-registry.ts";
export { TileRollup } from "../../../durable-objects/tile-rollup/tile-rollup.ts";
export { UserTimeline } from "../../../durable-objects/user-timeline/user-timeline.ts";

/** Bodies of messages, in the order the queues delivered them. */
export const delivered: unknown[] = [];

export default {
  fetch: edge.fetch,
  queue(batch: MessageBatch) {
    for (const message of batch.messages) delivered.push(message.body);
  },
};
