import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { afterAll, beforeAll, expect, it } from "vitest";
import { bucketBinding, bucketWorker } from "../../../scripts/local/bucket/bucket-worker.ts";
import { FarBucket } from "../../../scripts/local/bucket/far-bucket.ts";
import { v4Modules } from "../../../scripts/local/v4-worker.ts";

const DATE = "2026-08-15";
let miniflare: Miniflare;
let bucket: FarBucket;

beforeAll(async () => {
  const caller = "export default { fetch: (request, env) => env.BUCKET.fetch(request) };";
  miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: "127.0.0.1",
      port: 0,
      cf: {},
      workers: [
        {
          name: "caller",
          compatibilityDate: DATE,
          ...v4Modules([{ type: "ESModule", path: "caller.js", contents: caller }]),
          serviceBindings: { BUCKET: bucketBinding("eventpile") },
        },
        await bucketWorker(["eventpile"], DATE),
      ],
    }),
  );
  await miniflare.ready;
  const near = await miniflare.getR2Bucket("eventpile", "eventpile-bucket");
  await near.put("dt=2026-01-01/täglich & co?.parquet", "0123456789");
  bucket = new FarBucket({ fetch: miniflare.dispatchFetch } as unknown as Fetcher);
}, 30_000);
afterAll(() => miniflare.dispose());

const KEY = "dt=2026-01-01/täglich & co?.parquet";
const text = async (range?: { offset: number; length: number }) => {
  const object = await bucket.get(KEY, { ...(range && { range }) });
  return object && new TextDecoder().decode(await object.arrayBuffer());
};

it("a bucket of another process gives the bytes of a range, or all", async () => {
  expect(await text()).toBe("0123456789");
  expect(await text({ offset: 3, length: 4 })).toBe("3456");
  expect(await text({ offset: 8, length: 40 })).toBe("89");
  expect(await bucket.get(KEY, { range: { offset: 0, length: 1 } })).toMatchObject({ key: KEY, size: 10 });
});

it("what is not there is null, and what the bucket refuses is refused in its words", async () => {
  expect(await bucket.get("nothing")).toBeNull();
  await expect(bucket.get(KEY, { range: { offset: 11, length: 1 } })).rejects.toThrow(/range/i);
});
