/**
 * Publishes the lake as Iceberg tables: step by step as the catalog says (iceberg-publications.ts has the interleavings),
 * each one snapshot. Data first, then what names it: manifests, the manifest list, the metadata, and last the catalog's
 * switch. Memory follows one page of files and the entries of two manifests, whatever the table's size; what is done is
 * staged with the catalog, so an invocation that ends goes on in the next.
 */
import { ulid } from "ulidx";
import type { LakeIcebergApi, NewManifest, PublishStep } from "../../durable-objects/lake-catalog/iceberg-api.ts";
import { TABLES, type TableName } from "../../r2-layout/event-columns.ts";
import {
  addedEntry,
  decodeLiveEntries,
  deletedEntry,
  encodeManifest,
  existingEntry,
  icebergDataFile,
  type ManifestEntry,
} from "../../r2-layout/iceberg/manifest.ts";
import { encodeManifestList } from "../../r2-layout/iceberg/manifest-list.ts";
import { PARTITION_SPECS, partitionOf } from "../../r2-layout/iceberg/partitions.ts";
import { icebergSchema } from "../../r2-layout/iceberg/schema.ts";
import {
  expiredSnapshots,
  type FileSums,
  type IcebergSnapshot,
  NO_FILES,
  tagsOf,
} from "../../r2-layout/iceberg/snapshots.ts";
import { tableMetadata } from "../../r2-layout/iceberg/table-metadata.ts";
import { icebergKey } from "../../r2-layout/keys.ts";
import { ICEBERG } from "../../r2-layout/limits.ts";
import { promotedAt, tableColumns } from "../../r2-layout/promoted-columns.ts";

export interface PublishDeps {
  readonly bucket: {
    get(key: string): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null>;
    put(key: string, body: Uint8Array, options: { httpMetadata: { contentType: string } }): Promise<unknown>;
  };
  readonly catalog: LakeIcebergApi;
  /** `s3://<bucket>`: how files are named in the metadata. */
  readonly bucketUri: string;
  /** Milliseconds. */
  readonly now?: () => number;
}

export interface Published {
  readonly steps: number;
  /** Whether the time was over before the work was. */
  readonly isCutOff: boolean;
}

/** Publishes what there is of both tables. @param force does not wait for its time. */
export async function publishIceberg(deps: PublishDeps, untilMs: number, force: boolean): Promise<Published> {
  const now = deps.now ?? Date.now;
  let steps = 0;
  for (const table of Object.keys(TABLES) as TableName[]) {
    let isForced = force;
    for (;;) {
      const step = await deps.catalog.icebergStep(table, isForced);
      if (!step) break;
      isForced = false;
      const outcome = await new StepRun(deps, step, now).run(untilMs);
      if (outcome === "cut_off") return { steps, isCutOff: true };
      if (outcome === "taken_over") break;
      steps += 1;
    }
  }
  return { steps, isCutOff: false };
}

/** Entries of one spec that wait to be a manifest. */
interface Gathered {
  readonly entries: ManifestEntry[];
  /** Ids of the live ones, which come first. */
  readonly files: number[];
  readonly deleted: ManifestEntry[];
  /** Ids of the deleted ones' files. */
  readonly gone: number[];
  /** Manifests that all of this comes from. */
  readonly replaces: number[];
}

const nothingGathered = (): Gathered => ({ entries: [], files: [], deleted: [], gone: [], replaces: [] });

class StepRun {
  readonly #deps: PublishDeps;
  readonly #step: PublishStep;
  readonly #now: () => number;
  readonly #made: NewManifest[];
  /** Entries that were left out. */
  #erased: FileSums;

  constructor(deps: PublishDeps, step: PublishStep, now: () => number) {
    this.#deps = deps;
    this.#step = step;
    this.#now = now;
    this.#made = [...step.staged];
    this.#erased = step.erased ?? NO_FILES;
  }

  async run(untilMs: number): Promise<"published" | "taken_over" | "cut_off"> {
    for await (const isOurs of this.#manifests()) {
      if (!isOurs) return "taken_over";
      if (this.#now() >= untilMs) return "cut_off";
    }
    return (await this.#publish()) ? "published" : "taken_over";
  }

  /** Writes and stages manifests; after each time: whether the step is still ours. */
  async *#manifests(): AsyncGenerator<boolean> {
    if (this.#step.operation === null) return;
    yield* this.#rewritten();
    yield* this.#added();
  }

  /** The manifests that lose files, and small ones, joined. */
  async *#rewritten(): AsyncGenerator<boolean> {
    const gathered = new Map<number, Gathered>();
    for (const { manifest, files, removed } of this.#step.rewrites) {
      const live = decodeLiveEntries(await this.#read(manifest.key), manifest.sequence);
      if (live.length !== files.length) throw new Error(`manifest ${manifest.key} has ${live.length} live entries`);
      const gone = new Set(removed);
      const of = gathered.get(manifest.spec) ?? nothingGathered();
      gathered.set(manifest.spec, of);
      for (const [at, entry] of live.entries()) {
        if (gone.has(files[at]!)) {
          of.deleted.push(deletedEntry(entry, this.#step.snapshotId));
          of.gone.push(files[at]!);
        } else {
          of.entries.push(existingEntry(entry));
          of.files.push(files[at]!);
        }
      }
      of.replaces.push(manifest.id);
      if (of.entries.length + of.deleted.length < ICEBERG.manifestFiles) continue;
      gathered.delete(manifest.spec);
      yield this.#rewrite(manifest.spec, of);
    }
    for (const [spec, of] of gathered) yield this.#rewrite(spec, of);
  }

  /** A step that erases says of what has gone only how much it was: an entry has bounds of what people did. */
  async #rewrite(spec: number, of: Gathered): Promise<boolean> {
    if (!this.#step.erases) return this.#stage([await this.#stored(spec, of)], of.replaces);
    const files = of.deleted.map(({ data_file }) => data_file);
    const erased = {
      files: files.length,
      rows: files.reduce((sum, { record_count }) => sum + record_count, 0),
      bytes: files.reduce((sum, { file_size_in_bytes }) => sum + file_size_in_bytes, 0),
    };
    this.#erased = plus(this.#erased, erased);
    const kept = { ...of, deleted: [], gone: [] };
    const made = kept.entries.length > 0 ? [await this.#stored(spec, kept)] : [];
    return this.#stage(made, of.replaces, undefined, erased);
  }

  /** The files that come, in manifests of their specs. */
  async *#added(): AsyncGenerator<boolean> {
    const { catalog, bucketUri } = this.#deps;
    const { table, token, snapshotId } = this.#step;
    let after = this.#step.addedThrough;
    for (;;) {
      const bySpec = new Map<number, Gathered>();
      let count = 0;
      let isEnd = false;
      while (count < ICEBERG.manifestFiles && !isEnd) {
        const files = await catalog.icebergFiles(table, token, after);
        if (!files) return yield false;
        for (const file of files) {
          const { spec } = partitionOf(file);
          const of = bySpec.get(spec) ?? nothingGathered();
          bySpec.set(spec, of);
          of.entries.push(addedEntry(icebergDataFile(file, bucketUri, this.#columns()), snapshotId));
          of.files.push(file.id);
        }
        count += files.length;
        after = files.at(-1)?.id ?? after;
        isEnd = files.length < ICEBERG.filesPerPage;
      }
      if (count > 0) {
        const made: NewManifest[] = [];
        for (const [spec, of] of bySpec) made.push(await this.#stored(spec, of));
        yield this.#stage(made, [], after);
      }
      if (isEnd) return;
    }
  }

  async #stored(spec: number, { entries, files, deleted, gone }: Gathered): Promise<NewManifest> {
    const { table, sequence, snapshotId, schema } = this.#step;
    const specs = PARTITION_SPECS[table];
    const icebergVersion = icebergSchema(this.#columns(), this.#schemaId(schema.version));
    const { bytes, facts } = encodeManifest(icebergVersion, specs[spec]!, sequence, [...entries, ...deleted]);
    const key = icebergKey({ table, kind: "manifest", ulid: ulid(this.#now()) });
    await this.#put(key, bytes, AVRO);
    return { manifest: { ...facts, key, bytes: bytes.length, snapshotId, sequence }, files, gone };
  }

  async #stage(
    made: readonly NewManifest[],
    replaces: readonly number[],
    addedThrough?: number,
    erased?: FileSums,
  ): Promise<boolean> {
    const { table, token } = this.#step;
    this.#made.push(...made);
    const through = addedThrough !== undefined && { addedThrough };
    const staged = { manifests: made, replaces, ...through, ...(erased && { erased }) };
    return this.#deps.catalog.icebergStage(table, token, staged);
  }

  async #publish(): Promise<boolean> {
    const { bucketUri, catalog } = this.#deps;
    const { table, uuid, version, token, schema, sequence, previous, cuts, reached } = this.#step;
    const now = this.#now();
    const snapshot = this.#step.operation === null ? null : await this.#snapshot(this.#step.operation);
    const lost = new Set(this.#step.erases);
    const kept = this.#step.snapshots.filter(({ snapshotId }) => !lost.has(snapshotId));
    const all = snapshot ? [...kept, snapshot] : kept;
    const tags = tagsOf(cuts, all, reached, now);
    const expired = [...lost, ...expiredSnapshots(all, now, new Set(Object.values(tags)))];
    const versions = Array.from({ length: this.#schemaId(schema.version) }, (_, at) => at + 1);
    const metadata = tableMetadata(
      {
        table,
        uuid,
        lastSequence: sequence,
        schemas: versions.map((id) => icebergSchema(tableColumns(table, promotedAt(schema.promoted, id)), id)),
        snapshots: all.filter(({ snapshotId }) => !expired.includes(snapshotId)),
        tags,
        previous: previous.slice(-ICEBERG.metadataVersions),
      },
      bucketUri,
      now,
    );
    const metadataKey = icebergKey({ table, kind: "metadata", version, ulid: ulid(now) });
    await this.#put(metadataKey, new TextEncoder().encode(JSON.stringify(metadata)), JSON_TYPE);
    return catalog.icebergPublish(table, token, { metadataKey, snapshot, expired, tags });
  }

  async #snapshot(operation: IcebergSnapshot["operation"]): Promise<IcebergSnapshot> {
    const { table, snapshotId, sequence, snapshots, keeps, schema, timestampMs, lakeSnapshot } = this.#step;
    const parent = snapshots.at(-1);
    const parentId = parent?.snapshotId ?? null;
    const made = this.#made.map(({ manifest }) => manifest);
    const manifestListKey = icebergKey({ table, kind: "manifest-list", snapshotId, ulid: ulid(this.#now()) });
    // The newest first, as others write it: readers of what is new find it at once.
    const listed = [...made, ...keeps.toReversed()];
    const list = encodeManifestList(
      { snapshotId, parentId, sequence },
      listed,
      PARTITION_SPECS[table],
      this.#deps.bucketUri,
    );
    await this.#put(manifestListKey, list, AVRO);
    const sums = (part: "added" | "deleted"): FileSums => ({
      files: made.reduce((sum, manifest) => sum + manifest[`${part}Files`], 0),
      rows: made.reduce((sum, manifest) => sum + manifest[`${part}Rows`], 0),
      bytes: made.reduce((sum, manifest) => sum + manifest[`${part}Bytes`], 0),
    });
    const [came, went] = [sums("added"), plus(sums("deleted"), this.#erased)];
    const before = parent?.total ?? NO_FILES;
    return {
      snapshotId,
      parentId,
      sequence,
      timestampMs,
      operation,
      manifestListKey,
      schemaId: this.#schemaId(schema.version),
      lakeSnapshot,
      lakeFrom: this.#step.lakeFrom,
      added: came,
      removed: went,
      total: {
        files: before.files + came.files - went.files,
        rows: before.rows + came.rows - went.rows,
        bytes: before.bytes + came.bytes - went.bytes,
      },
    };
  }

  /** Promoted columns are those of events: quarantine's schema stays the first. */
  #schemaId(version: number): number {
    return this.#step.table === "events" ? version : 1;
  }

  #columns() {
    return tableColumns(this.#step.table, this.#step.schema.promoted);
  }

  async #read(key: string): Promise<Uint8Array> {
    const object = await this.#deps.bucket.get(key);
    if (!object) throw new Error(`manifest ${key} is missing`);
    return new Uint8Array(await object.arrayBuffer());
  }

  #put(key: string, bytes: Uint8Array, contentType: string): Promise<unknown> {
    return this.#deps.bucket.put(key, bytes, { httpMetadata: { contentType } });
  }
}

const plus = (a: FileSums, b: FileSums): FileSums => ({
  files: a.files + b.files,
  rows: a.rows + b.rows,
  bytes: a.bytes + b.bytes,
});

const AVRO = "application/avro";
const JSON_TYPE = "application/json";
