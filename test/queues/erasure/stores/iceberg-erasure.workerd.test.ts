import { reset } from "cloudflare:test";
import { afterEach, expect, it } from "vitest";
import type { NewDataFile } from "../../../../durable-objects/lake-catalog/api.ts";
import type { LakeIcebergApi } from "../../../../durable-objects/lake-catalog/iceberg-api.ts";
import { countErasedEntries, eraseIceberg } from "../../../../queues/erasure/stores/iceberg-erasure.ts";
import { publishIceberg } from "../../../../queues/maintenance/publish-iceberg.ts";
import { decodeContainer } from "../../../../r2-layout/iceberg/avro-decode.ts";
import { MINUTE_MS } from "../../../../r2-layout/limits.ts";
import { DAY_US } from "../../../../r2-layout/time.ts";
import { dataFile, TODAY_US } from "../../../durable-objects/lake-catalog/data-files.ts";
import { faulty } from "../../lake/lake-rig.ts";
import { Fault } from "../../log-rig.ts";
import {
  append,
  bucket,
  lake,
  liveKeys,
  plannedKeys,
  publishDeps,
  readManifests,
  readMetadata,
  URI,
} from "../../maintenance/iceberg-rig.ts";

afterEach(() => reset());

const soon = () => Date.now() + MINUTE_MS;
const publish = () => publishIceberg(publishDeps(), soon(), true);
const deps = () => ({ bucket, catalog: { getByName: lake }, bucketUri: URI });

/** Of the day of today, or as many days before, with bounds by which one would know whose it is. */
const fileOf = (daysAgo: number, who: string, rows = 10): NewDataFile =>
  dataFile({
    minTime: TODAY_US - daysAgo * DAY_US,
    rows,
    columns: { page_path: { min: `/account/${who}`, max: `/account/${who}`, nulls: 0 } },
  });

async function exchangeOf(key: string, replacement: NewDataFile | null): Promise<void> {
  const found = (await lake().erasable("events", Number.MAX_SAFE_INTEGER, 0)).find((file) => file.key === key)!;
  const change = { version: 1, id: found.id, key, replacement, tallies: [] };
  expect(await lake().exchange(change)).toBe("exchanged");
  expect(await lake().exchange(change)).toBe("gone");
}

/** Everything that the metadata in the bucket says, unpacked. */
async function metadataText(): Promise<string> {
  const { objects } = await bucket.list({ prefix: "lake/events/metadata/" });
  const plain = (_: string, value: unknown) => (value instanceof Uint8Array ? new TextDecoder().decode(value) : value);
  const texts = objects.map(async ({ key }) => {
    const bytes = new Uint8Array(await (await bucket.get(key))!.arrayBuffer());
    return key.endsWith(".json")
      ? new TextDecoder().decode(bytes)
      : JSON.stringify(decodeContainer(bytes).values, plain);
  });
  return (await Promise.all(texts)).join("\n");
}

/** Three published snapshots: without the person, with them, with them compacted away. */
async function published() {
  const [first, second] = [fileOf(0, "other"), fileOf(1, "third")];
  await append([first]);
  await publish();
  const theirs = fileOf(2, "erased");
  await append([theirs, second]);
  await publish();
  const ids = (await lake().plan({ table: "events" })).files
    .filter(({ key }) => key === theirs.key)
    .map(({ id }) => id);
  const compacted = fileOf(2, "erased");
  await lake().replace({ remove: ids, add: [compacted], operation: "compact" });
  await publish();
  return { first, theirs, compacted };
}

it("promise 7: nothing that is published tells of a file that was exchanged, and everything else is as it was", async () => {
  const { first, theirs, compacted } = await published();
  expect(await metadataText()).toContain("/account/erased");
  const rest = fileOf(2, "kept", 4);
  await exchangeOf(theirs.key, null);
  await exchangeOf(compacted.key, rest);
  expect((await countErasedEntries(deps())).entries).toBeGreaterThan(0);

  const before = (await readMetadata("events"))!;
  expect(await eraseIceberg(deps(), soon(), false)).toEqual({ done: true, tables: 1 });
  const metadata = (await readMetadata("events"))!;
  // The one from before they came is there still.
  expect(metadata.snapshots).toHaveLength(2);
  expect(metadata.snapshots[0]).toEqual(before.snapshots[0]);
  expect(metadata["metadata-log"]).toEqual([]);
  expect(liveKeys(await readManifests(metadata.snapshots[0]!))).toEqual([first.key]);
  const { snapshot } = await lake().status();
  const current = metadata.snapshots[1]!;
  const manifests = await readManifests(current);
  expect(liveKeys(manifests)).toEqual(await plannedKeys("events", snapshot));
  expect(current.summary).toMatchObject({ operation: "overwrite", "total-data-files": "3", "total-records": "24" });
  expect(await metadataText()).not.toContain("/account/erased");
  expect(await metadataText()).toContain("/account/kept");
  expect(await countErasedEntries(deps())).toMatchObject({ entries: 0 });
  expect(await eraseIceberg(deps(), soon(), false)).toEqual({ done: true, tables: 0 });

  // And it goes on from there.
  await append([fileOf(0, "later")]);
  await publish();
  const next = (await readMetadata("events"))!;
  expect(next["metadata-log"]).toHaveLength(1);
  expect(liveKeys(await readManifests(next.snapshots.at(-1)!))).toEqual(await plannedKeys("events", snapshot + 1));
});

it.each(["before", "after"] as const)(
  "promise 7: ends so whichever call is cut off %s its effect, beside a publisher who is overtaken",
  async (when) => {
    let fired = 0;
    for (const call of [2, 5, 8, 11]) {
      await reset();
      const { theirs, compacted } = await published();
      await append([fileOf(0, "beside")]);
      // A publisher that has asked for its step and has not staged anything yet.
      const slow = (await lake().icebergStep("events", true))!;
      await exchangeOf(theirs.key, fileOf(2, "kept", 3));
      await exchangeOf(compacted.key, fileOf(2, "kept", 3));
      const fault = new Fault(call, when);
      const broken = { ...deps(), bucket: faulty(bucket, fault), catalog: { getByName: () => faulty(lake(), fault) } };
      let isBegun = false;
      await eraseIceberg(broken as never, soon(), false).catch((error: Error) => {
        expect(error.message).toBe("injected");
        isBegun = call % 2 === 0;
      });
      if (fault.fired) fired++;
      expect(await lake().icebergStage("events", slow.token, { manifests: [], replaces: [], addedThrough: 99 })).toBe(
        false,
      );
      for (let round = 0; ; round++) {
        expect(round).toBeLessThan(5);
        const { done } = await eraseIceberg(deps(), soon(), isBegun);
        if (done) break;
      }
      const { snapshots } = (await readMetadata("events"))!;
      const { snapshot } = await lake().status();
      expect(liveKeys(await readManifests(snapshots.at(-1)!))).toEqual(await plannedKeys("events", snapshot));
      expect(await countErasedEntries(deps())).toMatchObject({ entries: 0 });
      expect(await lake().erasedObjects()).toEqual([]);
      // What a crash left is the orphans' store's: nobody can name it any more.
      const { objects } = await bucket.list({ prefix: "lake/events/metadata/" });
      await bucket.delete(await lake().icebergLost(objects.map(({ key }) => key)));
      expect(await metadataText()).not.toContain("/account/erased");
    }
    expect(fired).toBeGreaterThan(1);
  },
);

it("says nothing of a lake that was never published, and publishes none for it", async () => {
  const file = fileOf(0, "erased");
  await append([file]);
  await exchangeOf(file.key, null);
  expect(await eraseIceberg(deps(), soon(), false)).toEqual({ done: true, tables: 0 });
  expect(await lake().icebergTables()).toEqual([]);
});

it("a file that came beside an exchange is published though the exchanged one's new id is higher", async () => {
  const file = fileOf(0, "erased");
  await append([file]);
  const came = fileOf(0, "beside");
  const catalog = new Proxy({} as LakeIcebergApi, {
    get:
      (_, name: keyof LakeIcebergApi) =>
      async (...args: unknown[]) => {
        if (name === "icebergPublish" && args[0] === "events") {
          await append([came]);
          await exchangeOf(file.key, fileOf(0, "kept", 1));
        }
        return (lake() as unknown as Record<string, (...args: unknown[]) => unknown>)[name]!(...args);
      },
  });
  await publishIceberg({ ...publishDeps(), catalog }, soon(), true).catch(() => {});
  await publish();
  const { snapshots } = (await readMetadata("events"))!;
  expect(liveKeys(await readManifests(snapshots.at(-1)!))).toContain(came.key);
});
