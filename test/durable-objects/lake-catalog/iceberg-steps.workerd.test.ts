import { reset, runInDurableObject } from "cloudflare:test";
import { afterEach, expect, it } from "vitest";
import { publishIceberg } from "../../../queues/maintenance/publish-iceberg.ts";
import { icebergKey } from "../../../r2-layout/keys.ts";
import { ICEBERG, MINUTE_MS } from "../../../r2-layout/limits.ts";
import { append, lake, publishDeps, readMetadata } from "../../queues/maintenance/iceberg-rig.ts";
import { dataFile } from "./data-files.ts";

afterEach(() => reset());

const inCatalog = (run: (sql: SqlStorage) => void) =>
  runInDurableObject(lake() as never, async (_, state) => run(state.storage.sql));
const publish = () => publishIceberg(publishDeps(), Date.now() + MINUTE_MS, true);

it("promise 9: folds ICEBERG.commitsPerSnapshot commits and leaves one more to the next step", async () => {
  await append([dataFile()]);
  await publish();
  // Commits that changed the other table alone, as far as this one is concerned.
  await inCatalog((sql) => {
    for (let seq = 2; seq <= ICEBERG.commitsPerSnapshot + 2; seq++) {
      sql.exec(
        "INSERT INTO snapshot SELECT ?, committed_at, operation, shard, log_from, log_to, totals FROM snapshot WHERE seq = 1",
        seq,
      );
    }
    sql.exec("UPDATE data_file SET added_seq = 1");
  });
  await append([dataFile()]);
  await inCatalog((sql) => sql.exec("UPDATE data_file SET added_seq = ? WHERE id = 2", ICEBERG.commitsPerSnapshot + 1));
  const step = (await lake().icebergStep("events", true))!;
  expect(step.lakeSnapshot).toBe(ICEBERG.commitsPerSnapshot + 1);
  await publish();
  const [events] = await lake().icebergTables();
  expect(events!.lakeSnapshot).toBe(ICEBERG.commitsPerSnapshot + 3);
});

it("promise 9: names ICEBERG.metadataVersions earlier versions of the metadata and forgets the one before", async () => {
  const keys: string[] = [];
  for (let i = 0; i < ICEBERG.metadataVersions + 2; i++) {
    await append([dataFile()]);
    await publish();
    keys.push((await lake().icebergTables()).find(({ table }) => table === "events")!.metadataKey);
  }
  const metadata = (await readMetadata("events"))!;
  expect(metadata["metadata-log"]).toHaveLength(ICEBERG.metadataVersions);
  expect(metadata["metadata-log"].at(-1)!["metadata-file"]).toBe(`s3://eventpile/${keys.at(-2)}`);
  expect(await lake().icebergUnnamed(keys)).toEqual(keys.slice(0, 1));
});

it("promise 9: a cut is a tag on a snapshot with its rows, kept as it is, ICEBERG.tags of them at most", async () => {
  const rowsAt: number[] = [];
  for (let i = 0; i < 4; i++) {
    await append([dataFile({ rows: 10 + i })]);
    if (i % 2 === 1) await lake().requestCut({ name: `cut-${i}` }, Date.now());
    rowsAt.push((await lake().status()).rows.events);
  }
  await append([dataFile({ rows: 50 })]);
  await publish();
  // The first publication shows all there is: cuts from before have no snapshot of theirs.
  expect(Object.keys((await readMetadata("events"))!.refs)).toEqual(["main"]);
  for (let i = 4; i < 8; i++) {
    await append([dataFile({ rows: 100 + i })]);
    if (i === 5) await publish();
    rowsAt[i] = (await lake().status()).rows.events;
    if (i % 2 === 1) await lake().requestCut({ name: `cut-${i}` }, Date.now());
  }
  await append([dataFile({ rows: 1_000 })]);
  await publish();
  const { refs, snapshots } = (await readMetadata("events"))!;
  const rowsOf = (name: string) =>
    snapshots.find((of) => of["snapshot-id"] === refs[name]?.["snapshot-id"])?.summary["total-records"];
  expect(Object.keys(refs).sort()).toEqual(["cut-5.v1", "cut-7.v1", "main"]);
  expect([rowsOf("cut-5.v1"), rowsOf("cut-7.v1")]).toEqual([String(rowsAt[5]), String(rowsAt[7])]);
  await lake().requestCut({ name: "last" }, Date.now());
  expect((await publish()).steps).toBeGreaterThan(0);
  expect((await readMetadata("events"))!.refs["last.v1"]!["snapshot-id"]).toBe(refs.main!["snapshot-id"]);
  for (let i = 0; i <= ICEBERG.tags; i++) await lake().requestCut({ name: `many-${i}` }, Date.now());
  await publish();
  expect(Object.keys((await readMetadata("events"))!.refs)).toHaveLength(ICEBERG.tags + 1);
});

it("a publisher that was overtaken stages and publishes nothing any more", async () => {
  await append([dataFile()]);
  const older = (await lake().icebergStep("events", true))!;
  const newer = (await lake().icebergStep("events", true))!;
  expect(newer).toMatchObject({ snapshotId: older.snapshotId, sequence: older.sequence });
  expect(await lake().icebergFiles("events", older.token, 0)).toBeNull();
  expect(await lake().icebergFiles("events", newer.token, 0)).toHaveLength(1);
  const metadataKey = icebergKey({ table: "events", kind: "metadata", version: 1, ulid: "01ARZ3NDEKTSV4RRFFQ69G5FAV" });
  expect(await lake().icebergStage("events", older.token, { manifests: [], replaces: [] })).toBe(false);
  expect(
    await lake().icebergPublish("events", older.token, { metadataKey, snapshot: null, expired: [], tags: {} }),
  ).toBe(false);
  expect(await lake().icebergTables()).toEqual([]);
});
