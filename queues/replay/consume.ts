/**
 * Consumer of the `replays` queue: a message is one slice of one job. The desk sends the next, and one more where this
 * one brings nothing; so whatever happens here, the message is acked (durable-objects/replay-desk/desk.ts has the
 * interleavings).
 */
import type { Job, JobLease, ReplayDeskApi, SliceEnd } from "../../durable-objects/replay-desk/api.ts";
import { REPLAY } from "../../r2-layout/limits.ts";
import { SegmentDamaged } from "../read-log.ts";
import { isLasting } from "./lasting-error.ts";
import { type Advance, Slice, SliceOver } from "./slice.ts";

export interface ReplayDeps {
  readonly desk: ReplayDeskApi;
  /** Null: go on; else what live traffic the job stands back for, in words. Noted in the job. */
  hold(slice: Slice): Promise<string | null>;
  advance(slice: Slice): Promise<Advance>;
  /** Milliseconds. */
  readonly now?: () => number;
}

export async function replayBatch(batch: MessageBatch<unknown>, deps: ReplayDeps): Promise<void> {
  for (const message of batch.messages) {
    const job = jobOf(message.body);
    if (job === null) console.warn(JSON.stringify({ at: "replay", reason: "malformed_message" }));
    else await runSlice(job, deps);
    message.ack();
  }
}

/** One slice of a job, if it is to be had. Never throws: the desk is told, or notices by its clock. */
export async function runSlice(id: string, deps: ReplayDeps): Promise<void> {
  let lease: JobLease | null;
  try {
    lease = await deps.desk.lease(id, crypto.randomUUID(), REPLAY.leaseMs);
  } catch (error) {
    console.error(JSON.stringify({ at: "replay", job: id, error: String(error) }));
    return;
  }
  if (!lease) return;
  const end = await sliceEnd(lease, deps);
  try {
    await deps.desk.release(id, lease.token, end);
  } catch (error) {
    console.error(JSON.stringify({ at: "replay", job: id, error: String(error) }));
  }
}

async function sliceEnd(lease: JobLease, deps: ReplayDeps): Promise<SliceEnd> {
  const { job } = lease;
  const slice = new Slice(deps.desk, lease, { now: deps.now ?? Date.now, ratePerSecond: job.spec.rate });
  try {
    const waitsFor = await deps.hold(slice);
    if (waitsFor !== null) {
      await slice.save({ waitsFor });
      return { kind: "more", inMs: REPLAY.standBackMs };
    }
    const advance = await deps.advance(slice);
    if (advance.kind === "state") return { ...advance, from: job.state };
    return { kind: "more", inMs: Math.max(advance.inMs ?? 0, slice.pauseMs()) };
  } catch (error) {
    if (error instanceof SliceOver) return { kind: "more", inMs: 0 };
    const lasting = isLasting(error);
    console.error(JSON.stringify({ at: "replay", job: job.id, phase: job.phase, lasting, error: String(error) }));
    const unreadable = error instanceof SegmentDamaged;
    return { kind: "failed", error: words(error), lasting, ...(unreadable && { unreadable }) };
  }
}

const words = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function jobOf(body: unknown): string | null {
  const job = (body as { job?: unknown } | null)?.job;
  return typeof job === "string" ? (job satisfies Job["id"]) : null;
}
