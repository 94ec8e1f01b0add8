/**
 * A segment's object. An erasure writes a segment anew under another key, and deletes the object of the old one: who read the
 * row before that finds nothing there, and reads the row again. Only what its row names and is not there is missing.
 */
import type { EventLogApi } from "../durable-objects/event-log/api.ts";
import type { SegmentRef } from "../r2-layout/segment.ts";

/** The slice of R2 that reading the log needs. */
export interface SegmentReader {
  get(key: string): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null>;
}

/** Several erasures may write it anew, one after the other; more often than this, while somebody reads it, they do not. */
const ROUNDS = 4;

/** @returns the row's key and size as they are by now, and the object; null where it is missing. */
export async function segmentObject<Ref extends Pick<SegmentRef, "seq" | "key">>(
  ref: Ref,
  bucket: SegmentReader,
  log: Pick<EventLogApi, "segments">,
): Promise<{ readonly ref: Ref; readonly body: Uint8Array | null }> {
  let at = ref;
  for (let round = 0; ; round++) {
    const object = await bucket.get(at.key);
    if (object) return { ref: at, body: new Uint8Array(await object.arrayBuffer()) };
    const now = (await log.segments(at.seq - 1, 1)).segments.find(({ seq }) => seq === at.seq);
    if (!now || now.key === at.key) return { ref: at, body: null };
    // Not taken for missing: whoever leaves out what is missing would leave out what is there.
    if (round === ROUNDS) throw new Error(`segment ${at.seq}: its key was another one ${ROUNDS} times`);
    at = { ...at, key: now.key, ...("bytes" in at && { bytes: now.bytes }) };
  }
}
