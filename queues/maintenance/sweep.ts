/**
 * Deletes objects that nothing names: what a crash between a put and its commit left, what a refused commit left, and
 * what compaction replaced longer ago than any snapshot reaches. Only an object older than the grace is looked at, and
 * both catalogs refuse to name an object that old, so nothing can become named between the question and the deletion.
 */
import { LAKE, LOG } from "../../r2-layout/limits.ts";

/** The slice of R2 that a sweep needs. */
export interface SweptStore {
  list(options: { prefix: string; cursor?: string; limit: number }): Promise<{
    objects: readonly { readonly key: string; readonly uploaded: Date }[];
    truncated: boolean;
    cursor?: string;
  }>;
  delete(keys: string[]): Promise<void>;
}

export interface Swept {
  readonly looked: number;
  readonly deleted: number;
  /** Where to go on, null at the end of the listing. */
  readonly cursor: string | null;
}

/** @param unnamed which of the keys nothing names; keys that are none of ours must not be among its answers. */
export async function sweep(
  store: SweptStore,
  prefix: string,
  unnamed: (keys: readonly string[]) => Promise<readonly string[]>,
  nowMs: number,
  from?: string,
): Promise<Swept> {
  let cursor = from;
  let looked = 0;
  let deleted = 0;
  while (looked < LAKE.sweepObjects) {
    const page = await store.list({ prefix, limit: LAKE.sweepKeys, ...(cursor !== undefined && { cursor }) });
    const old = page.objects.filter(({ uploaded }) => nowMs - uploaded.getTime() > LOG.orphanGraceMs);
    const orphans = old.length > 0 ? await unnamed(old.map(({ key }) => key)) : [];
    if (orphans.length > 0) await store.delete([...orphans]);
    looked += page.objects.length;
    deleted += orphans.length;
    if (!page.truncated || page.cursor === undefined) return { looked, deleted, cursor: null };
    cursor = page.cursor;
  }
  return { looked, deleted, cursor: cursor ?? null };
}
