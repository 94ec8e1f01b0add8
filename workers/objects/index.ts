/** The objects Worker: only its classes matter; nothing calls it over HTTP. */
export { EventLog } from "../../durable-objects/event-log/event-log.ts";
export { LakeCatalog } from "../../durable-objects/lake-catalog/lake-catalog.ts";
export { LiveHub } from "../../durable-objects/live-hub/live-hub.ts";
export { MinuteRollup } from "../../durable-objects/minute-rollup/minute-rollup.ts";
export { QueryBudget } from "../../durable-objects/query-budget/query-budget.ts";
export { ReplayDesk } from "../../durable-objects/replay-desk/replay-desk.ts";
export { SinkCursor } from "../../durable-objects/sink-cursor/sink-cursor.ts";
export { UserTimeline } from "../../durable-objects/user-timeline/user-timeline.ts";

export default {
  fetch: () => new Response("eventpile objects\n", { status: 404 }),
} satisfies ExportedHandler;
