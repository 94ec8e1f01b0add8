import { reset } from "cloudflare:test";
import { ulid } from "ulidx";
import { afterEach, expect, it } from "vitest";
import {
  type OrphansDeps,
  type OrphansPosition,
  walkOrphans,
} from "../../../../queues/erasure/stores/orphan-objects.ts";
import { storedParts } from "../../../../queues/lake/sink.ts";
import type { DerivedEvent } from "../../../../r2-layout/event-columns.ts";
import { dataFileKey, icebergKey, segmentKey } from "../../../../r2-layout/keys.ts";
import { DAY_MS, HOUR_MS, LAKE_ERASURE, MINUTE_MS } from "../../../../r2-layout/limits.ts";
import { formatLogLine } from "../../../../r2-layout/log-line.ts";
import { encodeSegment } from "../../../../r2-layout/segment.ts";
import { bucket, catalogs, flush, lake, NOW_US, parquet } from "../../lake/lake-rig.ts";
import { isErased, peoplesSegment, sought, tracesInObjects } from "./erasure-rig.ts";

afterEach(() => reset());

const row = (user_id: string): DerivedEvent => ({
  event_id: "e",
  event_name: "page",
  event_type: "page",
  source: "shop",
  user_id,
  event_time: NOW_US,
  received_at: NOW_US,
});

/** @param age days ago */
async function segment(lines: readonly string[], age = 0): Promise<string> {
  const key = segmentKey({ receivedAtUs: NOW_US - age * DAY_MS * 1_000, shard: 0, ulid: ulid() });
  await bucket.put(key, encodeSegment(lines));
  return key;
}

const line = (user_id: string, q?: { cause: string }, raw: Record<string, unknown> = {}) =>
  formatLogLine({ row: row(user_id), d: 1, raw, ...(q && { q }) });

const walk = async (named: readonly string[], isDeleted: boolean, position?: OrphansPosition, untilMs?: number) => {
  const logs = {
    getByName: () => ({ unnamed: async (keys: readonly string[]) => keys.filter((key) => !named.includes(key)) }),
  };
  const deps: OrphansDeps = { bucket, catalog: catalogs, logs: logs as never, parquet };
  const until = untilMs ?? Date.now() + MINUTE_MS;
  return walkOrphans(deps, sought, { raisedAt: Date.now(), untilMs: until, isDeleted }, position);
};

it("promise 7: what nothing names and holds an erased person's rows goes, all else stays; LAKE_ERASURE.orphanDays back", async () => {
  const part = peoplesSegment(0, 1);
  await flush(0, [part], 1);
  const namedFiles = (await lake().erasable("events", 1, 0)).map(({ key }) => key);
  const orphans = await storedParts({ bucket, parquet }, part, Date.now());
  const others = { events: part.events.filter((event) => !isErased(event)), quarantine: [] };
  const innocent = await storedParts({ bucket, parquet }, others, Date.now());
  const damaged = dataFileKey({ table: "events", kind: "fresh", day: null, ulid: ulid() });
  await bucket.put(damaged, "no Parquet");

  const named = await segment([line("user-3")]);
  const holding = await segment([line("user-1"), line("user-3")], LAKE_ERASURE.orphanDays);
  const quarantined = await segment([line("user-1", { cause: "column_mismatch" }, { userId: { of: "user-3" } })]);
  const kept = await segment([line("user-1", undefined, { friend: "user-3" })]);
  const older = await segment([line("user-3")], LAKE_ERASURE.orphanDays + 1);

  const before = await walk([named], false);
  const gone = [...orphans.files.map(({ key }) => key), damaged, holding, quarantined].sort();
  expect(before.orphans.holding.toSorted()).toEqual(gone);
  for (const key of gone) expect(await bucket.head(key)).not.toBeNull();
  // A page at a time.
  let position: OrphansPosition | undefined;
  for (let done = false; !done; ) ({ done, position } = await walk([named], true, position, 0));
  for (const key of gone) expect(await bucket.head(key)).toBeNull();
  for (const key of [named, kept, older, ...namedFiles, ...innocent.files.map(({ key }) => key)]) {
    expect([key, (await bucket.head(key)) === null]).toEqual([key, false]);
  }
  // Named ones are other stores'.
  expect((await tracesInObjects()).toSorted()).toEqual(
    [...namedFiles, ...(await lake().erasable("quarantine", 1, 0)).map(({ key }) => key)]
      .toSorted()
      .filter((key) => key),
  );
  expect((await walk([named], false)).orphans.holding).toEqual([]);
});

it("of Iceberg's metadata what nobody can name any more goes, what a publisher has just stored stays", async () => {
  await flush(0, [peoplesSegment(0, 1)], 1);
  const step = (await lake().icebergStep("events", true))!;
  const metadataKey = icebergKey({ table: "events", kind: "metadata", version: 1, ulid: ulid() });
  await bucket.put(metadataKey, "{}");
  await lake().icebergPublish("events", step.token, { metadataKey, snapshot: null, expired: [], tags: {} });
  const lost = icebergKey({ table: "events", kind: "manifest", ulid: ulid(Date.now() - HOUR_MS) });
  const fresh = icebergKey({ table: "events", kind: "manifest", ulid: ulid(Date.now() + HOUR_MS) });
  for (const key of [lost, fresh]) await bucket.put(key, "");
  const { orphans } = await walk([], true);
  expect(orphans.holding).toContain(lost);
  expect(await bucket.head(lost)).toBeNull();
  expect(await bucket.head(fresh)).not.toBeNull();
  expect(await bucket.head(metadataKey)).not.toBeNull();
});
