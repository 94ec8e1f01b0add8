/**
 * Objects under lake/ and log/ that nothing names: what a crash left, what a refused commit left, what the sweep has not
 * come to. They are read, and deleted where they hold rows of those to be erased; of Iceberg's metadata whatever nobody can
 * name any more goes, because its bounds are of rows too.
 *
 * Safe beside writers who are about to name their object: once the rule is raised, and every sink has passed it, a commit of
 * rows that it takes out is refused everywhere; what such a writer has stored is stored in vain. Objects without those rows
 * are left alone.
 */

import type { EventLogApi } from "../../../durable-objects/event-log/api.ts";
import type { DataFile, LakeCatalogApi } from "../../../durable-objects/lake-catalog/api.ts";
import { LAKE_CATALOG_NAME } from "../../../durable-objects/lake-catalog/api.ts";
import type { LakeErasureApi } from "../../../durable-objects/lake-catalog/erasure-api.ts";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import { parseDataFileKey, parseIcebergKey, parseSegmentKey, shardName } from "../../../r2-layout/keys.ts";
import { DAY_MS, LAKE, LAKE_ERASURE } from "../../../r2-layout/limits.ts";
import { lineNames } from "../../../r2-layout/line-subjects.ts";
import { decodeSegmentLines } from "../../../r2-layout/segment.ts";
import { dayOf, MICROS_PER_MS } from "../../../r2-layout/time.ts";
import { fileParts, type PartStore } from "../../lake/file-parts.ts";
import { isSoughtBy, namedRows, rowTest, type Sought } from "./named-rows.ts";

export interface OrphansDeps {
  readonly bucket: PartStore & {
    list(options: { prefix: string; cursor?: string; limit: number }): Promise<{
      objects: readonly { readonly key: string; readonly size: number }[];
      truncated: boolean;
      cursor?: string;
    }>;
    delete(keys: string | string[]): Promise<void>;
  };
  readonly catalog: ObjectNamespace<LakeErasureApi & Pick<LakeCatalogApi, "unnamed">>;
  readonly logs: ObjectNamespace<Pick<EventLogApi, "unnamed">>;
  /** parquet-wasm's module. */
  readonly parquet: WebAssembly.Module;
  /** Milliseconds. */
  readonly now?: () => number;
}

/** How far a walk is: JSON. */
export interface OrphansPosition {
  /** Which of `prefixes`, and where in it. */
  readonly prefix: number;
  readonly cursor?: string;
}

export interface Orphans {
  /** Objects listed; of these unnamed; of these deleted, or to be deleted. */
  listed: number;
  unnamed: number;
  readonly holding: string[];
}

/** @param raisedAt of the rule, milliseconds. @param isDeleted false: they are only counted. */
export async function walkOrphans(
  deps: OrphansDeps,
  sought: Sought,
  {
    raisedAt,
    untilMs,
    isDeleted,
  }: { readonly raisedAt: number; readonly untilMs: number; readonly isDeleted: boolean },
  position: OrphansPosition = { prefix: 0 },
): Promise<{ readonly done: boolean; readonly position: OrphansPosition; readonly orphans: Orphans }> {
  const now = deps.now ?? Date.now;
  const prefixes = prefixesOf(raisedAt, now());
  const orphans: Orphans = { listed: 0, unnamed: 0, holding: [] };
  let at = position;
  while (at.prefix < prefixes.length) {
    if (orphans.listed > 0 && now() >= untilMs) return { done: false, position: at, orphans };
    const { cursor } = at;
    const prefix = prefixes[at.prefix]!;
    const page = await deps.bucket.list({ prefix, limit: LAKE.sweepKeys, ...(cursor !== undefined && { cursor }) });
    orphans.listed += page.objects.length;
    const holding = await holdingOf(deps, sought, page.objects, orphans);
    if (isDeleted && holding.length > 0) await deps.bucket.delete(holding);
    orphans.holding.push(...holding);
    at =
      page.truncated && page.cursor !== undefined
        ? { prefix: at.prefix, cursor: page.cursor }
        : { prefix: at.prefix + 1 };
  }
  return { done: true, position: at, orphans };
}

/** Older segments that nothing names have been swept. */
function prefixesOf(raisedAt: number, nowMs: number): string[] {
  const prefixes = ["lake/"];
  const first = Math.floor(raisedAt / DAY_MS) - LAKE_ERASURE.orphanDays;
  for (let day = first; day <= Math.floor(nowMs / DAY_MS); day++) {
    prefixes.push(`log/dt=${dayOf(day * DAY_MS * MICROS_PER_MS)}/`);
  }
  return prefixes;
}

async function holdingOf(
  deps: OrphansDeps,
  sought: Sought,
  objects: readonly { readonly key: string; readonly size: number }[],
  orphans: Orphans,
): Promise<string[]> {
  const catalog = deps.catalog.getByName(LAKE_CATALOG_NAME);
  const ofKind = (parse: (key: string) => object | null) => objects.filter(({ key }) => parse(key) !== null);
  const unnamedOf = async (of: typeof objects, ask: (keys: string[]) => Promise<string[]>) => {
    const keys = of.length > 0 ? new Set(await ask(of.map(({ key }) => key))) : new Set<string>();
    orphans.unnamed += keys.size;
    return of.filter(({ key }) => keys.has(key));
  };
  const holding: string[] = [];
  for (const file of await unnamedOf(ofKind(parseDataFileKey), (keys) => catalog.unnamed(keys))) {
    if (await fileHolds(deps, sought, file)) holding.push(file.key);
  }
  const lost = await unnamedOf(ofKind(parseIcebergKey), (keys) => catalog.icebergLost(keys));
  holding.push(...lost.map(({ key }) => key));
  const segments = Map.groupBy(ofKind(parseSegmentKey), ({ key }) => parseSegmentKey(key)!.shard);
  for (const [shard, ofShard] of segments) {
    const log = deps.logs.getByName(shardName(shard));
    for (const { key } of await unnamedOf(ofShard, (keys) => log.unnamed(keys))) {
      if (await segmentHolds(deps, sought, key)) holding.push(key);
    }
  }
  return holding;
}

/** One that cannot be read is of no use to anybody. */
async function fileHolds(
  { bucket, parquet }: OrphansDeps,
  sought: Sought,
  { key, size }: { readonly key: string; readonly size: number },
): Promise<boolean> {
  const { table } = parseDataFileKey(key)!;
  const test = rowTest(table, sought);
  try {
    for (const part of await fileParts(bucket, { key, bytes: size } satisfies Pick<DataFile, "key" | "bytes">)) {
      const none = { columns: ["event_id"], onRow: () => {} };
      if (await namedRows(parquet, table, await part.read(), test, none)) return true;
    }
    return false;
  } catch {
    return (await bucket.get(key)) !== null;
  }
}

async function segmentHolds({ bucket }: OrphansDeps, sought: Sought, key: string): Promise<boolean> {
  const object = await bucket.get(key);
  if (!object) return false;
  const isSought = isSoughtBy(sought);
  try {
    return decodeSegmentLines(new Uint8Array(await object.arrayBuffer())).some((text) => lineNames(text, isSought));
  } catch {
    return true;
  }
}
