import fc from "fast-check";
import { expect, it } from "vitest";
import { answerS3, isS3Path, parseRange, type ServedBucket, within } from "../../../scripts/local/s3-facade.ts";

const SETTINGS = { bucketName: "eventpile", accessKeyId: "local" };
const SIGNED = { authorization: "AWS4-HMAC-SHA256 Credential=local/20261122/auto/s3/aws4_request, Signature=x" };

const object = (key: string, bytes: Uint8Array) => ({
  key,
  size: bytes.length,
  httpEtag: '"e"',
  uploaded: new Date(0),
  httpMetadata: { contentType: "application/x-test" },
});

/** As much of R2 as is asked. */
function bucketOf(objects: Readonly<Record<string, Uint8Array>>): ServedBucket {
  return {
    head: async (key) => (objects[key] ? (object(key, objects[key]) as never) : null),
    get: async (key, options) => {
      const bytes = objects[key];
      if (!bytes) return null;
      const range = options?.range as { offset: number; length: number } | undefined;
      const part = range ? bytes.slice(range.offset, range.offset + range.length) : bytes;
      return { ...object(key, bytes), body: new Response(part as Uint8Array<ArrayBuffer>).body } as never;
    },
    list: async ({ prefix = "", limit = 1_000, cursor, delimiter }) => {
      const keys = Object.keys(objects)
        .filter((key) => key.startsWith(prefix))
        .sort();
      const from = Number(cursor ?? 0);
      const page = keys.slice(from, from + limit);
      const cut = (key: string) => key.slice(0, key.indexOf(delimiter!, prefix.length) + 1);
      const folders = delimiter ? page.filter((key) => key.indexOf(delimiter, prefix.length) >= 0) : [];
      return {
        objects: page.filter((key) => !folders.includes(key)).map((key) => object(key, objects[key]!)),
        delimitedPrefixes: [...new Set(folders.map(cut))],
        truncated: from + limit < keys.length,
        cursor: String(from + limit),
      } as never;
    },
  };
}

const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);
const bucket = bucketOf({ "lake/a b&.parquet": bytes, "lake/x/1": bytes, "lake/x/2": bytes });
const ask = (path: string, init: RequestInit & { headers?: Record<string, string> } = {}) =>
  answerS3(
    new Request(`http://127.0.0.1${path}`, { ...init, headers: { ...SIGNED, ...init.headers } }),
    bucket,
    SETTINGS,
  );

it("serves an object whole, by any range that lies inside, and tells its size", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(120), fc.option(fc.nat(130)), fc.boolean(), async (from, to, isSuffix) => {
      const header = isSuffix ? `bytes=-${from}` : `bytes=${from}-${to ?? ""}`;
      const response = await ask("/eventpile/lake/x/1", { headers: { range: header } });
      const expected = isSuffix
        ? from === 0
          ? bytes.slice(0, 0)
          : bytes.slice(-from)
        : bytes.slice(from, to === null ? 100 : to + 1);
      expect(response.status).toBe(expected.length > 0 ? 206 : 416);
      if (response.status === 416) {
        expect(response.headers.get("content-range")).toBe("bytes */100");
        return;
      }
      expect(new Uint8Array(await response.arrayBuffer())).toEqual(expected);
      expect(response.headers.get("content-range")).toMatch(/^bytes \d+-\d+\/100$/);
    }),
  );
  const whole = await ask("/eventpile/lake/a%20b%26.parquet");
  expect([whole.status, (await whole.arrayBuffer()).byteLength]).toEqual([200, 100]);
  const head = await ask("/eventpile/lake/x/1", { method: "HEAD" });
  expect([head.status, head.headers.get("content-length"), head.headers.get("etag")]).toEqual([200, "100", '"e"']);
  expect([parseRange("bytes=0-1,3-4"), parseRange("lines=1-2"), parseRange("bytes=-")]).toEqual([null, null, null]);
  expect(within({ last: 500 }, 100)).toEqual({ offset: 0, length: 100 });
});

it("lists keys and folders, page by page, with what XML would misread escaped", async () => {
  const text = await (await ask("/eventpile?list-type=2&prefix=lake/&delimiter=%2F")).text();
  expect(text).toContain("<Key>lake/a b&amp;.parquet</Key>");
  expect(text).toContain("<CommonPrefixes><Prefix>lake/x/</Prefix></CommonPrefixes>");
  expect(text).toContain("<IsTruncated>false</IsTruncated>");
  const first = await (await ask("/eventpile/?list-type=2&prefix=lake/x/&max-keys=1")).text();
  const next = /<NextContinuationToken>(.*)<\/NextContinuationToken>/.exec(first)![1];
  expect(await (await ask(`/eventpile/?list-type=2&prefix=lake/x/&continuation-token=${next}`)).text()).toContain(
    "lake/x/2",
  );
  expect(await (await ask("/eventpile?location")).text()).toContain("LocationConstraint");
});

it("takes the run's own key only, writes nothing, and tells what is not there", async () => {
  const other = { authorization: SIGNED.authorization.replace("local", "other") };
  expect((await ask("/eventpile/lake/x/1", { headers: other })).status).toBe(403);
  expect((await ask("/eventpile/lake/x/1", { headers: { authorization: "" } })).status).toBe(403);
  expect(
    (await ask("/eventpile/lake/x/1?X-Amz-Credential=local%2F20261122", { headers: { authorization: "" } })).status,
  ).toBe(200);
  for (const method of ["PUT", "POST", "DELETE"]) {
    expect((await ask("/eventpile/lake/x/1", { method })).status).toBe(405);
  }
  const missing = await ask("/eventpile/lake/none");
  expect([missing.status, await missing.text()]).toEqual([404, expect.stringContaining("NoSuchKey")]);
  expect((await ask("/eventpile/lake/none", { method: "HEAD" })).status).toBe(404);
  expect((await ask("/eventpile/lake/%ff")).status).toBe(400);
  expect(
    ["/eventpile", "/eventpile/x", "/eventpiles", "/v1/eventpile"].map((path) => isS3Path(path, SETTINGS)),
  ).toEqual([true, true, false, false]);
});
