import { ulid } from "ulidx";
import type { NewDataFile } from "../../../durable-objects/lake-catalog/api.ts";
import { dataFileKey } from "../../../r2-layout/keys.ts";
import { dayOf } from "../../../r2-layout/time.ts";

/** 2026-11-22T00:00:00Z in microseconds. */
export const TODAY_US = Date.UTC(2026, 10, 22) * 1_000;

/** A data file that nobody wrote: what the catalog is told is all it knows. */
export function dataFile(part: Partial<NewDataFile> = {}): NewDataFile {
  const { table = "events", kind = "fresh", minTime = TODAY_US, maxTime = minTime + 1_000_000 } = part;
  const [minDay, maxDay] = [dayOf(minTime), dayOf(maxTime)];
  return {
    table,
    key: dataFileKey({ table, kind, day: minDay === maxDay ? minDay : null, ulid: ulid() }),
    kind,
    bytes: 1_000,
    rows: 10,
    minDay,
    maxDay,
    minTime,
    maxTime,
    minReceivedAt: minTime,
    maxReceivedAt: maxTime,
    eventNames: ["page"],
    columns: {},
    schemaVersion: 1,
    ...part,
  };
}
