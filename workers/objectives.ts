/** How long the parts of the pipeline may take before somebody should look: for the page, /metrics and the alert rules. */
import type { SinkName } from "../r2-layout/sinks.ts";

/** Seconds that a sink may stay behind: well above what its flushes take. */
export const LAG_OBJECTIVE_S: Readonly<Record<SinkName, number>> = { lake: 60, sessions: 30, rollups: 15 };

/** Messages overtake each other on a queue; one that is still away after this is worth a look. */
export const GAP_OBJECTIVE_S = 120;

/** Age of the oldest message that waits on a queue. */
export const QUEUE_AGE_OBJECTIVE_S = 30;

/** Other engines see the lake by its Iceberg tables, published every minute. */
export const ICEBERG_OBJECTIVE_S = 300;
