/** Which lines of a refused segment are at fault, so that one bad event does not take its neighbours with it. */
import type { Hole } from "../durable-objects/sink-cursor/api.ts";
import type { EventRow, QuarantineRow } from "../r2-layout/event-columns.ts";
import { SINK } from "../r2-layout/limits.ts";
import { DETAIL_CHARS } from "./left-out.ts";
import type { LogStep } from "./read-log.ts";
import { EventsRefused, isRefusal } from "./refusal.ts";
import type { Sink, SinkStep } from "./sink.ts";

type Row = EventRow | QuarantineRow;

/**
 * @param read a step of one segment, with its lines told.
 * @param error what the sink refused it with.
 * @throws what a trial throws that is no refusal.
 */
export async function refusedHole(read: LogStep, step: SinkStep, sink: Sink, error: unknown): Promise<Hole> {
  const ref = read.segments[0]!;
  const rows = await refusedRows(step, sink, error);
  const quarantined = new Set<Row>(step.quarantine);
  const lines = [...rows].map((row) => read.lineOf!.get(row)!).sort((a, b) => a - b);
  const inQuarantine = rows.filter((row) => quarantined.has(row)).length;
  return {
    seq: ref.seq,
    key: ref.key,
    lines: lines.length === ref.events ? "all" : lines,
    of: ref.events,
    events: rows.length - inQuarantine,
    quarantined: inQuarantine,
    cause: "step_refused",
    detail: String(error).slice(0, DETAIL_CHARS),
  };
}

async function refusedRows(step: SinkStep, sink: Sink, error: unknown): Promise<readonly Row[]> {
  const all: readonly Row[] = [...step.events, ...step.quarantine];
  if (error instanceof EventsRefused) return error.events;
  if (!sink.trial) return all;
  const found = await byHalves(all, SINK.poisonTrials, (rows) => isRefused(rows, step, sink));
  // Refused, and not for any of its lines: the store alone knows why.
  return found.length > 0 ? found : all;
}

async function isRefused(rows: readonly Row[], step: SinkStep, sink: Sink): Promise<boolean> {
  const some = new Set(rows);
  try {
    await sink.trial!({
      ...step,
      events: step.events.filter((row) => some.has(row)),
      quarantine: step.quarantine.filter((row) => some.has(row)),
    });
    return false;
  } catch (error) {
    if (isRefusal(error)) return true;
    throw error;
  }
}

/** The rows that are refused alone; where only several together are, these. @param trials how many parts may be tried */
export async function byHalves<T>(
  all: readonly T[],
  trials: number,
  refused: (rows: readonly T[]) => Promise<boolean>,
): Promise<readonly T[]> {
  let left = trials;
  const found: T[] = [];
  const search = async (rows: readonly T[]): Promise<boolean> => {
    if (left-- > 0 && !(await refused(rows))) return false;
    if (rows.length === 1 || left <= 0) {
      found.push(...rows);
      return true;
    }
    const middle = rows.length >> 1;
    const before = found.length;
    await search(rows.slice(0, middle));
    await search(rows.slice(middle));
    if (found.length === before) found.push(...rows);
    return true;
  };
  if (all.length > 0) await search(all);
  return found;
}
