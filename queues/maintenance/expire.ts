/** Retention's work: bounded commits of the catalog, one after the other, until nothing is due or the time is up. */
import type { LakeHistoryApi } from "../../durable-objects/lake-catalog/api.ts";
import type { RetentionSettings } from "../../durable-objects/lake-catalog/retention-api.ts";

export interface ExpireDeps {
  readonly catalog: Pick<LakeHistoryApi, "expire">;
  readonly retention: RetentionSettings;
  /** Milliseconds. */
  readonly now?: () => number;
}

/** @returns what went, and whether there may be more. */
export async function expireFiles({ catalog, retention, now = Date.now }: ExpireDeps, untilMs: number) {
  const sum = { commits: 0, files: 0, rows: 0, cutFiles: 0, cuts: 0 };
  for (let more = true; more; ) {
    if (now() >= untilMs) return { ...sum, more: true };
    const expired = await catalog.expire(retention, now());
    if (expired.snapshot !== null) sum.commits++;
    sum.files += expired.files;
    sum.rows += expired.rows;
    sum.cutFiles += expired.cutFiles;
    sum.cuts += expired.cuts;
    more = expired.more;
  }
  return { ...sum, more: false };
}
