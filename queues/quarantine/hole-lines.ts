/** The bytes of a hole: its lines in the segment's object, or the lines that somebody mended. */
import type { EventLogApi } from "../../durable-objects/event-log/api.ts";
import type { Hole } from "../../durable-objects/sink-cursor/api.ts";
import {
  erasedKind,
  isReadable,
  joinLogLine,
  type LineKind,
  parseLogLine,
  readLogLine,
} from "../../r2-layout/log-line.ts";
import type { Result } from "../../r2-layout/result.ts";
import { err, ok } from "../../r2-layout/result.ts";
import type { SegmentRef } from "../../r2-layout/segment.ts";
import { decodeSegmentLines } from "../../r2-layout/segment.ts";
import { type SegmentReader, segmentObject } from "../segment-object.ts";
import type { RedriveRefusal } from "./redrive.ts";

/** The hole's lines, all of which a sink can read, in their order. */
export async function holeLines(
  hole: Hole,
  ref: SegmentRef,
  mended: string | null,
  bucket: SegmentReader,
  log: Pick<EventLogApi, "segments">,
): Promise<Result<readonly string[], RedriveRefusal>> {
  const wanted = hole.lines === "all" ? ref.events : hole.lines.length;
  const found = mended === null ? await storedLines(hole, ref, bucket, log) : ok(mended.trimEnd().split("\n"));
  if (!found.ok) return found;
  const lines = found.value;
  if (lines.length !== wanted) {
    return err({ cause: "line_count", detail: `there are ${lines.length} lines, the hole has ${wanted}` });
  }
  let quarantined = 0;
  for (const [at, text] of lines.entries()) {
    const kind = kindOf(text);
    if (kind === null) return err({ cause: "line_damaged", detail: `line ${at} of the hole cannot be read` });
    if (kind === "quarantined") quarantined++;
  }
  if (quarantined !== hole.quarantined) {
    const detail = `${quarantined} lines are quarantined, of the hole's ${hole.quarantined}`;
    return err({ cause: "line_count", detail });
  }
  return ok(lines);
}

/** Lines as they stand in the object, damaged ones too. */
export async function storedLines(
  { lines }: Pick<Hole, "lines">,
  ref: Pick<SegmentRef, "seq" | "key">,
  bucket: SegmentReader,
  log: Pick<EventLogApi, "segments">,
): Promise<Result<readonly string[], RedriveRefusal>> {
  const { body } = await segmentObject(ref, bucket, log);
  if (!body) return err({ cause: "segment_missing", detail: "there is no such object" });
  try {
    const all = decodeSegmentLines(body);
    return ok(lines === "all" ? all : lines.map((line) => all[line] ?? ""));
  } catch (error) {
    return err({ cause: "segment_damaged", detail: String(error) });
  }
}

function kindOf(text: string): LineKind | null {
  const erased = erasedKind(text);
  if (erased) return erased;
  try {
    const entry = readLogLine(text);
    if (!isReadable(entry)) return null;
    return entry.q ? "quarantined" : "event";
  } catch {
    return null;
  }
}

const ROW = '{"row":{"';

/** The line with its place in its row, the sender's JSON untouched. A line that was redriven before keeps what it has. */
export function withOrigin(text: string, { shard, seq }: { readonly shard: number; readonly seq: number }): string {
  if (erasedKind(text)) return text;
  const { row } = readLogLine(text);
  if ("log_seq" in row) return text;
  if (text.startsWith(ROW)) return `{"row":{"log_shard":${shard},"log_seq":${seq},${text.slice(ROW.length - 1)}`;
  const { raw, d, q } = parseLogLine(text);
  return joinLogLine({ ...row, ...{ log_shard: shard, log_seq: seq } }, d, q, JSON.stringify(raw));
}
