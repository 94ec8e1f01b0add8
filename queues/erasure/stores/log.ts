/**
 * The store `log`: segments of every shard, those of shards that were split too, and what was redriven. Each log says which
 * of its segments may name somebody; these are read, and written anew where a line does (rewrite-segment.ts):
 *
 *     put the new object       cut off: nothing names it; done again it is written over
 *     exchange the row's key   cut off: the log has noted the old object as one to delete
 *     delete the old object    readers who hold its key read the row again (queues/segment-object.ts)
 *
 * From the rule's place on no line about them enters a log, so what a pass has gone over stays as it is. What is missing
 * names nobody any more; what is damaged is nobody's to say: the store stops there, and the request stays open, until the
 * object is mended or deleted, or past its retention.
 */
import { createHash } from "node:crypto";
import type { EventLogApi, EventLogErasureApi } from "../../../durable-objects/event-log/api.ts";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import { shardName } from "../../../r2-layout/keys.ts";
import { LAKE_ERASURE } from "../../../r2-layout/limits.ts";
import { rulesReader } from "../../../r2-layout/rule.ts";
import type { SegmentRef } from "../../../r2-layout/segment.ts";
import { type PackedPrefixes, packPrefixes, prefixOf } from "../../../r2-layout/subjects.ts";
import { type SegmentReader, segmentObject } from "../../segment-object.ts";
import type { ErasureRun, ErasureStore, Replacement } from "../erasure-store.ts";
import { isSoughtBy } from "./named-rows.ts";
import { countNamedLines, rewriteSegment, rewrittenKey, subjectsOfLines } from "./rewrite-segment.ts";

export type ErasableLog = Pick<EventLogApi, "segments"> & EventLogErasureApi;

export interface LogStoreDeps {
  readonly bucket: SegmentReader & {
    put(key: string, body: Uint8Array): Promise<unknown>;
    delete(keys: string[]): Promise<unknown>;
  };
  readonly logs: ObjectNamespace<ErasableLog>;
  /** As many as there are by now. */
  readonly shards: number;
}

/** How far a pass is: JSON. */
interface Place {
  readonly shard: number;
  /** Segments up to this seq were looked at, and those up to `to` are to be, which was the head when the shard's turn came. */
  readonly after: number;
  readonly to: number | null;
}

interface Verified extends Place {
  readonly segments: number;
  readonly traces: number;
}

const FIRST: Place = { shard: 0, after: 0, to: null };
const UNIT = "lines";
/** Calls of one segment at most: read twice, written, exchanged and deleted. */
const CALLS_PER_SEGMENT = 8;
/** One to ask for it, and where it is a shard's last one those that end the shard. */
const CALLS_PER_PAGE = 4;
/** Others may write a segment anew at the same time; so often in a row they do not. */
const ROUNDS = 4;

export function logStore(deps: LogStoreDeps): ErasureStore {
  return {
    name: "log",
    async erase(run, saved) {
      const erasure = new LogErasure(deps, run);
      const walked = await walk(deps, run, (saved as Place | null) ?? FIRST, {
        segment: (log, ref, shard) => erasure.segment(log, ref, shard),
        end: (log) => erasure.deleteReplaced(log),
      });
      const { erased, replaced, more } = erasure;
      return { ...walked, found: { unit: UNIT, found: erased, removed: erased, replaced, ...(more > 0 && { more }) } };
    },
    async verify(run, saved) {
      const before = saved as Verified | null;
      const isSought = isSoughtBy(run);
      let { segments = 0, traces = 0 } = before ?? {};
      const { done, position } = await walk(deps, run, before ?? FIRST, {
        async segment(log, ref) {
          const { body } = await segmentObject(ref, deps.bucket, log);
          segments++;
          if (body) traces += readable(ref, () => countNamedLines(body, isSought));
        },
        async end(log) {
          // Another erasure's may lie there at this moment, and are nobody's here.
          for (const key of await log.replacedObjects()) {
            run.calls.left--;
            const object = await deps.bucket.get(key);
            if (object) traces += linesIn(new Uint8Array(await object.arrayBuffer()), isSought);
          }
        },
      });
      const statement =
        `${segments} segments of the log that may name a subject were read: ${traces} lines do, those of old objects that are left among them. ` +
        "To look: read every object under log/, gzip of a line of JSON for each event.";
      return { done, position: { ...position, segments, traces }, traces, statement };
    },
  };
}

interface Visit {
  segment(log: ErasableLog, ref: SegmentRef, shard: number): Promise<void>;
  /** Once a shard's segments are gone over. */
  end(log: ErasableLog): Promise<void>;
}

/** Every segment that may name a subject, shard by shard, until time or calls are used up; one is visited in any case. */
async function walk(
  { logs, shards }: LogStoreDeps,
  run: ErasureRun,
  from: Place,
  visit: Visit,
): Promise<{ done: boolean; position: Place }> {
  const sought: PackedPrefixes = packPrefixes(Array.from(run.hashes, prefixOf));
  const all = Math.max(shards, run.places.length);
  let at = from;
  let visited = 0;
  const isOver = () => run.now() >= run.untilMs || run.calls.left < CALLS_PER_SEGMENT + CALLS_PER_PAGE;
  while (at.shard < all) {
    if (visited > 0 && isOver()) return { done: false, position: at };
    const { shard } = at;
    const log = logs.getByName(shardName(shard));
    run.calls.left -= CALLS_PER_PAGE;
    const { segments, until, head } = await log.segmentsWith(sought, at.after);
    const to: number = at.to ?? head;
    for (const ref of segments) {
      if (ref.seq > to) break;
      if (visited > 0 && isOver()) return { done: false, position: { shard, after: ref.seq - 1, to } };
      run.calls.left -= CALLS_PER_SEGMENT;
      visited++;
      await visit.segment(log, ref, shard);
    }
    if (until < to) at = { shard, after: until, to };
    else {
      await visit.end(log);
      at = { ...FIRST, shard: shard + 1 };
    }
    visited++;
  }
  return { done: true, position: at };
}

class LogErasure {
  readonly #deps: LogStoreDeps;
  readonly #run: ErasureRun;
  readonly #isSought: ReturnType<typeof isSoughtBy>;
  readonly replaced: Replacement[] = [];
  erased = 0;
  more = 0;

  constructor(deps: LogStoreDeps, run: ErasureRun) {
    this.#deps = deps;
    this.#run = run;
    this.#isSought = isSoughtBy(run);
  }

  async segment(log: ErasableLog, given: SegmentRef, shard: number): Promise<void> {
    const { bucket } = this.#deps;
    const { hash, rules } = this.#run;
    const at = { shard, seq: given.seq };
    const rewriting = { isSought: this.#isSought, hash, at, through: rulesReader(rules.get(shard) ?? [], hash) };
    let read = given;
    for (let round = 0; round < ROUNDS; round++) {
      const { ref, body } = await segmentObject(read, bucket, log);
      const rewritten = body && readable(ref, () => rewriteSegment(body, ref.quarantined, rewriting));
      if (!body) return;
      if (!rewritten) {
        const known = readable(ref, () => subjectsOfLines(body, hash));
        if (known !== undefined) await log.noteSubjects(ref.seq, ref.key, known);
        return;
      }
      const { erased, subjects } = rewritten;
      const key = rewrittenKey(ref, this.#run.id);
      const writtenAt = this.#run.now();
      await bucket.put(key, rewritten.body);
      const answer = await log.replaceSegment({
        seq: ref.seq,
        from: ref.key,
        to: { key, bytes: rewritten.body.byteLength, writtenAt, ...(subjects !== undefined && { subjects }) },
      });
      if (answer.kind === "stale") continue;
      if (answer.kind !== "replaced") {
        await bucket.delete([key]);
        if (answer.kind === "forgotten") return;
        read = { ...ref, key: answer.key };
        continue;
      }
      await deleteObjects(bucket, log, [ref.key]);
      this.#note(ref.key, body, key, rewritten.body, erased);
      return;
    }
    throw new Error(`segment ${given.seq}: not exchanged in ${ROUNDS} rounds`);
  }

  /** What a cut has left. */
  async deleteReplaced(log: ErasableLog): Promise<void> {
    for (;;) {
      const keys = await log.replacedObjects();
      if (keys.length === 0) return;
      await deleteObjects(this.#deps.bucket, log, keys);
    }
  }

  #note(old: string, oldBody: Uint8Array, key: string, body: Uint8Array, erased: number): void {
    this.erased += erased;
    if (this.replaced.length === LAKE_ERASURE.replacedTold) {
      this.more++;
      return;
    }
    const { byteLength: bytes } = body;
    this.replaced.push({ old, oldSha256: sha256(oldBody), new: key, newSha256: sha256(body), bytes });
  }
}

async function deleteObjects(bucket: LogStoreDeps["bucket"], log: ErasableLog, keys: string[]): Promise<void> {
  await bucket.delete(keys);
  await log.replacedDeleted(keys);
}

/** Of an object that is to go: one that cannot be read counts as one. */
function linesIn(body: Uint8Array, isSought: ReturnType<typeof isSoughtBy>): number {
  try {
    return countNamedLines(body, isSought);
  } catch {
    return 1;
  }
}

/** @throws Error with the segment's place: that is what somebody has to mend. */
function readable<T>({ seq, key }: SegmentRef, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new Error(`segment ${seq}, ${key}, cannot be read, and may name a subject: ${error}`);
  }
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
