/** The bindings of the `workerd` project (test/vitest.workerd.config.mts), typed. */
import { env } from "cloudflare:workers";
import type { EventLog } from "../durable-objects/event-log/event-log.ts";
import type { LakeCatalog } from "../durable-objects/lake-catalog/lake-catalog.ts";
import type { ReplayDesk } from "../durable-objects/replay-desk/replay-desk.ts";
import type { SinkCursor } from "../durable-objects/sink-cursor/sink-cursor.ts";

export const bindings = env as unknown as {
  readonly BUCKET: R2Bucket;
  readonly EVENT_LOG: DurableObjectNamespace<EventLog>;
  readonly SINK_CURSOR: DurableObjectNamespace<SinkCursor>;
  readonly LAKE_CATALOG: DurableObjectNamespace<LakeCatalog>;
  readonly REPLAY_DESK: DurableObjectNamespace<ReplayDesk>;
};
