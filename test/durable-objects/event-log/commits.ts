/** Commits for tests, from numbered events. */
import type { CommittedMessage, SegmentCommit } from "../../../durable-objects/event-log/api.ts";
import { idHash } from "../../../r2-layout/event-id.ts";
import { pickIds } from "./random-ids.ts";

let objects = 0;

export function segmentOf(events: number, writtenAt = Date.now()): NonNullable<SegmentCommit["segment"]> {
  const ulid = `01HX${String(objects++).padStart(22, "0")}`;
  const key = `log/dt=2026-11-22/shard=000/${ulid}.ndjson.gz`;
  return { key, bytes: events * 100, events, quarantined: 0, minReceivedAt: 1, maxReceivedAt: 2, writtenAt };
}

/** Message n of an edge whose messages all have as many events. */
export function messageOf(edge: string, n: number, events: number, duplicates = 0): CommittedMessage {
  const id = idHash("message", edge, String(n)).slice();
  return { id, edge, n, source: "shop", events, before: (n - 1) * events, void: [], duplicates };
}

export function commitOf(numbers: readonly number[], messages: readonly CommittedMessage[] = []): SegmentCommit {
  return { epoch: 0, segment: numbers.length > 0 ? segmentOf(numbers.length) : null, ids: pickIds(numbers), messages };
}
