/**
 * Lists of people whom nobody goes on to erase. A preview that is not confirmed in `ERASURE.previewMs` is withdrawn; and a
 * list without a job that is open goes: a crash came between the list and its job, between a withdrawal and its lists, or
 * a confirmation came too late. What a list is about lies in `jobs/<id>/` in clear, so it is not left for a listing to find.
 */
import type { Job, ReplayDeskApi } from "../../durable-objects/replay-desk/api.ts";
import { hasEnded } from "../../durable-objects/replay-desk/job-rules.ts";
import { jobKey } from "../../r2-layout/keys.ts";
import { ERASURE } from "../../r2-layout/limits.ts";
import { PREVIEW_OBJECT, SUBJECTS_OBJECT } from "./erasure-objects.ts";

export interface StaleListsDeps {
  readonly desk: Pick<ReplayDeskApi, "job" | "act">;
  readonly bucket: {
    list(options: { prefix: string; startAfter?: string; limit: number }): Promise<{
      readonly objects: readonly { readonly key: string; readonly uploaded: Date }[];
      readonly truncated: boolean;
    }>;
    delete(keys: string[]): Promise<unknown>;
  };
}

export interface LetGo {
  /** Previews that nobody has confirmed in time. */
  readonly withdrawn: number;
  /** Objects. */
  readonly deleted: number;
  /** Where to go on, null at the end. */
  readonly after: string | null;
}

const PREFIX = "jobs/erasure-";
const LISTS: readonly string[] = [PREVIEW_OBJECT, SUBJECTS_OBJECT];

/** One page of the listing. Safe to repeat, and beside itself. */
export async function letGoStaleLists(
  { desk, bucket }: StaleListsDeps,
  nowMs: number,
  after: string | null,
): Promise<LetGo> {
  const page = await bucket.list({
    prefix: PREFIX,
    limit: ERASURE.recordsListed,
    ...(after !== null && { startAfter: after }),
  });
  const lists = page.objects.filter(({ key }) => LISTS.includes(key.split("/").slice(2).join("/")));
  let withdrawn = 0;
  let deleted = 0;
  for (const [id, objects] of Map.groupBy(lists, ({ key }) => key.split("/")[1]!)) {
    let job = await desk.job(id);
    if (isForgotten(job, nowMs)) {
      const answer = await desk.act(id, "cancel");
      // Confirmed in this moment: it goes on.
      job = answer.kind === "unknown" ? null : answer.job;
      if (job?.state === "cancelled") withdrawn++;
    }
    if (job && !hasEnded(job.state)) continue;
    // A list is written before its job; one that young may still get it.
    const old = objects.filter(({ uploaded }) => job !== null || nowMs - uploaded.getTime() > ERASURE.listGraceMs);
    if (old.length === 0) continue;
    await bucket.delete(job === null ? old.map(({ key }) => key) : LISTS.map((name) => jobKey(id, name)));
    deleted += old.length;
  }
  return { withdrawn, deleted, after: page.truncated ? page.objects.at(-1)!.key : null };
}

const isForgotten = (job: Job | null, nowMs: number): boolean =>
  job?.state === "preview" && nowMs - job.createdAt > ERASURE.previewMs;
