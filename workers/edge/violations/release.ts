/**
 * Gives events that broke their contract back to the log, as it would have taken them had they kept to it. A call reads some
 * segments of one shard and commits one `redrive` that names every line; where it ended, the next one goes on:
 *
 *     cut off before the commit     an object that no row names, swept; nothing was given back
 *     cut off after it, or twice    the log says which lines came back, and they are left out
 *     two at once                   the second is told which lines the first has brought, and leaves them out
 *     its id is an event's already  its sender has sent it again, right: it stays where it is
 *     it is about somebody who was  it does not come back: an erasure takes it out where it is
 *     erased
 *
 * An event in quarantine owns its id in a space of its own, so that coming back is no duplicate.
 */
import { monotonicFactory } from "ulidx";
import type { EventLogApi, EventLogRedriveApi, Redrive } from "../../../durable-objects/event-log/api.ts";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import type { BarredSubjects } from "../../../queues/fan-out/barred.ts";
import { segmentObject } from "../../../queues/segment-object.ts";
import { idHash } from "../../../r2-layout/event-id.ts";
import { segmentKey, shardName } from "../../../r2-layout/keys.ts";
import { LOG, VIOLATIONS } from "../../../r2-layout/limits.ts";
import {
  isReadable,
  type LogLine,
  parseLogLine,
  type QuarantineMark,
  readLogLine,
} from "../../../r2-layout/log-line.ts";
import { decodeSegmentLines, encodeSegment } from "../../../r2-layout/segment.ts";
import { SINKS } from "../../../r2-layout/sinks.ts";
import { type Cause, isOfCause } from "./cause.ts";
import type { Mender } from "./mended-line.ts";
import { FailureTally } from "./tally.ts";

export type ReleaseLog = Pick<EventLogApi, "segments" | "barred"> & EventLogRedriveApi;

export interface ReleaseDeps {
  readonly bucket: {
    get(key: string): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null>;
    put(key: string, body: Uint8Array): Promise<unknown>;
  };
  readonly logs: ObjectNamespace<ReleaseLog>;
  /** Whom the rules keep out, as far as this isolate knows: what is about them does not come back. */
  readonly barred: BarredSubjects;
  /** Milliseconds. */
  readonly now: () => number;
}

/** A segment with rows of the cause, by the lake's word. */
export interface QuarantinedPlace {
  readonly shard: number;
  readonly seq: number;
}

export interface Released {
  /** Lines of the cause that were met. */
  readonly looked_at: number;
  readonly released: number;
  /** Came back before. */
  readonly released_before: number;
  /** Their ids are events': they were sent again, right. */
  readonly sent_again: number;
  readonly still_refused: FailureTally;
  /** Segments that the log has no more, or that cannot be read. */
  readonly unreadable: QuarantinedPlace[];
  /** The last segment that was looked at. */
  readonly last: QuarantinedPlace | null;
}

interface Line {
  readonly seq: number;
  readonly line: number;
  readonly text: string;
  readonly id: Uint8Array;
  readonly receivedAt: number;
  readonly republished: boolean;
}

const nextUlid = monotonicFactory();
const ROUNDS = 8;

/** @param places of one shard, in order. @param only `try`: nothing is given back, only counted. */
export async function release(
  deps: ReleaseDeps,
  places: readonly QuarantinedPlace[],
  cause: Cause,
  mender: Mender,
  only?: "try",
): Promise<Released> {
  const shard = places[0]?.shard ?? 0;
  const log = deps.logs.getByName(shardName(shard));
  const startedAt = deps.now();
  const refused = new FailureTally();
  const unreadable: QuarantinedPlace[] = [];
  const lines: Line[] = [];
  let [lookedAt, before] = [0, 0];
  let last: QuarantinedPlace | null = null;
  for (const place of places) {
    if (last && deps.now() - startedAt > VIOLATIONS.sliceMs) break;
    const read = await readPlace(place, deps, log);
    const found = read && mendedLines(read, place, cause, mender);
    // A segment alone always fits; beside others it may be left for the next call.
    if (found && lines.length + found.lines.length > LOG.redriveLines) break;
    last = place;
    if (!found) {
      unreadable.push(place);
      continue;
    }
    lines.push(...found.lines);
    lookedAt += found.lookedAt;
    before += found.before;
    for (const { row, mark } of found.refused) refused.add(row, mark);
  }
  const committed =
    only === "try" ? { released: lines.length, owned: 0, before: 0 } : await commit(shard, lines, log, deps);
  return {
    looked_at: lookedAt,
    released: committed.released,
    released_before: before + committed.before,
    sent_again: committed.owned,
    still_refused: refused,
    unreadable,
    last,
  };
}

interface ReadPlace {
  readonly lines: readonly string[];
  /** Lines that came back before. */
  readonly released: ReadonlySet<number>;
}

/** The segment's lines of the cause: those that can come back, as they will, and what is wrong with the others. */
function mendedLines(read: ReadPlace, place: QuarantinedPlace, cause: Cause, mender: Mender) {
  const lines: Line[] = [];
  const refused: { row: LogLine["row"]; mark: QuarantineMark }[] = [];
  let [lookedAt, before] = [0, 0];
  for (const [line, text] of read.lines.entries()) {
    const entry = entryOf(text);
    if (!entry || !isOfCause(entry, cause)) continue;
    lookedAt++;
    if (read.released.has(line)) {
      before++;
      continue;
    }
    const whole = parseLogLine(text);
    const mended = mender.mended(whole, place);
    if (!mended.ok) {
      refused.push({ row: whole.row, mark: mended.error });
      continue;
    }
    const { source, event_id, received_at, flags } = whole.row;
    const id = idHash("event", source, event_id);
    const republished = flags?.includes("republished") ?? false;
    lines.push({ seq: place.seq, line, text: mended.value, id, receivedAt: received_at, republished });
  }
  return { lines, refused, lookedAt, before };
}

/** @returns null where it cannot be read. */
async function readPlace(
  { seq }: QuarantinedPlace,
  { bucket }: ReleaseDeps,
  log: ReleaseLog,
): Promise<ReadPlace | null> {
  const ref = (await log.segments(seq - 1, 1, "lake")).segments.find((segment) => segment.seq === seq);
  // What is for one sink alone is that sink's affair.
  if (!ref || ref.sinks) return null;
  const { body } = await segmentObject(ref, bucket, log);
  if (!body) return null;
  try {
    const lines = decodeSegmentLines(body);
    const { released = [] } = ref;
    return { lines, released: new Set(released === "all" ? lines.keys() : released) };
  } catch {
    return null;
  }
}

function entryOf(text: string) {
  try {
    const entry = readLogLine(text);
    return isReadable(entry) ? entry : null;
  } catch {
    return null;
  }
}

async function commit(shard: number, all: readonly Line[], log: ReleaseLog, deps: ReleaseDeps) {
  let lines = all;
  let owned = 0;
  let before = 0;
  await deps.barred.learnAll(log);
  for (let round = 0; round < ROUNDS; round++) {
    lines = lines.filter(({ text }) => !deps.barred.isErased(text));
    if (lines.length === 0) return { released: 0, owned, before };
    const answer = await log.redrive(await written(shard, lines, deps));
    if (answer.kind === "committed") return { released: lines.length, owned, before };
    if (answer.kind === "barred") await deps.barred.learn(log, answer.version);
    else if (answer.kind === "owned") {
      const known = new Set(answer.ids);
      lines = lines.filter((_, i) => !known.has(i));
      owned += known.size;
    } else if (answer.kind === "redriven") {
      const gone = new Set(
        answer.origins.flatMap(({ seq, lines }) =>
          (lines === "all" ? all.filter((one) => one.seq === seq).map(({ line }) => line) : lines).map(
            (line) => `${seq} ${line}`,
          ),
        ),
      );
      const left = lines.filter(({ seq, line }) => !gone.has(`${seq} ${line}`));
      before += lines.length - left.length;
      lines = left;
    }
  }
  throw new Error(`shard ${shard}: a release was refused ${ROUNDS} times`);
}

/** @param lines at most `LOG.redriveLines`, one at least. */
async function written(shard: number, lines: readonly Line[], { bucket, now, barred }: ReleaseDeps): Promise<Redrive> {
  // The lines were chosen by what is known now.
  const { version } = barred;
  const writtenAt = now();
  const body = encodeSegment(lines.map(({ text }) => text));
  const times = lines.map(({ receivedAt }) => receivedAt);
  const minReceivedAt = times.reduce((a, b) => Math.min(a, b));
  const maxReceivedAt = times.reduce((a, b) => Math.max(a, b));
  const ulid = nextUlid(writtenAt);
  const key = segmentKey({ receivedAtUs: maxReceivedAt, shard, ulid });
  await bucket.put(key, body);
  const republished = lines.filter((line) => line.republished).length;
  const origins = [...Map.groupBy(lines, ({ seq }) => seq)].map(([seq, some]) => ({
    seq,
    lines: some.map(({ line }) => line),
    quarantined: some.length,
  }));
  const ids = new Uint8Array(lines.length * 16);
  for (const [i, { id }] of lines.entries()) ids.set(id, i * 16);
  return {
    // What makes it happen once is the lines that it names.
    id: `release:${shard}:${ulid}`,
    segment: {
      key,
      bytes: body.byteLength,
      events: lines.length,
      quarantined: 0,
      ...(republished > 0 && { republished }),
      minReceivedAt,
      maxReceivedAt,
      writtenAt,
    },
    origins,
    sinks: SINKS,
    ids,
    ...(version > 0 && { barred: version }),
  };
}
