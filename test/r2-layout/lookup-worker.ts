/** A lookup in a heap of its own: the test beside says how large it may be. */
import { parentPort, workerData } from "node:worker_threads";
import { comparePositions, positionOf } from "../../durable-objects/user-timeline/event-order.ts";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { type RowPlace, userRows } from "../../r2-layout/lake-lookup.ts";
import { TIMELINE } from "../../r2-layout/limits.ts";

const { bytes, userId, limit, times } = workerData as {
  bytes: Uint8Array;
  userId: string;
  limit: number;
  times: number;
};
const file = {
  bytes: bytes.length,
  read: async (start: number, end: number) => bytes.slice(start, end).buffer as ArrayBuffer,
};
const compare = (a: RowPlace, b: RowPlace) => comparePositions(positionOf(b as EventRow), positionOf(a as EventRow));
const lookup = { userId, isWanted: () => true, compare, limit, bytesMax: TIMELINE.pageBytes };
const found = await Promise.all(Array.from({ length: times }, () => userRows(file, lookup)));
parentPort!.postMessage(found[0]!.rows);
