/** What no API offers: somebody, or a bug long gone, has changed what is on disk. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { gunzipSync } from "node:zlib";
import { DAY_MS } from "../../../r2-layout/limits.ts";

/**
 * Counts every event of from..to (ms, whole hours) three times in minutes, hours and days, as a consumer with a fault
 * might have. The system has to be stopped. @returns how many minutes and hours it changed
 */
export function tripleFigures(dir: string, from: number, to: number): number {
  const folder = join(dir, "state/do/eventpile-objects-MinuteRollup");
  let rows = 0;
  for (const name of readdirSync(folder)) {
    if (!name.endsWith(".sqlite") || name === "metadata.sqlite") continue;
    const db = new DatabaseSync(join(folder, name));
    db.function("plus", (counts, more, times) => plus(String(counts), String(more), Number(times)));
    // Days first: they gain by what the hours still have.
    const hours = db
      .prepare("SELECT start, events, event_name FROM hours WHERE start >= ? AND start < ?")
      .all(from, to);
    for (const { start, events, event_name } of hours) {
      db.prepare("UPDATE days SET events = events + 2 * ?, event_name = plus(event_name, ?, 2) WHERE start = ?").run(
        events!,
        event_name!,
        Math.floor(Number(start) / DAY_MS) * DAY_MS,
      );
    }
    for (const table of ["minutes", "hours"]) {
      const triple = `UPDATE ${table} SET events = 3 * events, event_name = plus(event_name, event_name, 2)`;
      rows += Number(db.prepare(`${triple} WHERE start >= ? AND start < ?`).run(from, to).changes);
    }
    db.close();
  }
  return rows;
}

/** Counts by value, plus others so many times. */
function plus(text: string, others: string, times: number): string {
  const counts = JSON.parse(text) as Counts;
  const more = new Map((JSON.parse(others) as Counts).values.map(([key, events]) => [key, events]));
  const values = counts.values.map(([key, events, ...rest]) => [key, events + times * (more.get(key) ?? 0), ...rest]);
  return JSON.stringify({ ...counts, values });
}

interface Counts {
  readonly approximate: boolean;
  readonly values: readonly (readonly [key: string, events: number, ...rest: unknown[]])[];
}

/** The file of the segment object that has this event, and its bytes. @throws Error where there is none */
export function findSegment(dir: string, eventId: string): { readonly path: string; readonly bytes: Buffer } {
  const folder = join(dir, "state/r2/eventpile/blobs");
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const bytes = readFileSync(path);
    if (bytes[0] === 0x1f && bytes[1] === 0x8b && gunzipSync(bytes).includes(eventId)) return { path, bytes };
  }
  throw new Error(`no segment has ${eventId}`);
}

/** Its second half is noise from now on. */
export function damage({ path, bytes }: ReturnType<typeof findSegment>): void {
  writeFileSync(path, Buffer.concat([bytes.subarray(0, 20), Buffer.alloc(bytes.length - 20, 0x5a)]));
}

export const mend = ({ path, bytes }: ReturnType<typeof findSegment>): void => writeFileSync(path, bytes);
