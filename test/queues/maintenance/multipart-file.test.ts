import { expect, it } from "vitest";
import { MultipartFile } from "../../../queues/maintenance/multipart-file.ts";
import { LAKE } from "../../../r2-layout/limits.ts";

/** A bucket that keeps what it was told, and fails where it is told to. */
function store(failsAt?: "create" | "part" | "complete" | "list") {
  const told: string[] = [];
  const parts: Uint8Array[] = [];
  const fail = (at: typeof failsAt) => {
    if (at === failsAt) throw new Error(`${at} failed`);
  };
  const upload = {
    uploadId: "u1",
    uploadPart: async (partNumber: number, body: Uint8Array) => {
      fail("part");
      told.push(`part ${partNumber} ${body.length}`);
      parts.push(body.slice());
      return { partNumber, etag: `e${partNumber}` };
    },
    complete: async (all: { partNumber: number }[]) => {
      fail("complete");
      told.push(`complete ${all.map(({ partNumber }) => partNumber)}`);
    },
    abort: async () => void told.push("abort"),
  };
  const bucket = {
    put: async (key: string, body: Uint8Array) => {
      told.push(`put ${key} ${body.length}`);
      parts.push(body.slice());
    },
    createMultipartUpload: async (key: string) => {
      fail("create");
      told.push(`create ${key}`);
      return upload;
    },
    resumeMultipartUpload: () => upload,
  };
  const uploads = {
    began: async (key: string, id: string) => {
      fail("list");
      told.push(`began ${key} ${id}`);
    },
    ended: async (key: string) => void told.push(`ended ${key}`),
  };
  return { told, parts, file: new MultipartFile(bucket, uploads, "k") };
}

const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 31) & 255);

it("promise 9: puts what stays below LAKE.uploadPartBytes, and uploads the rest in parts of that size", async () => {
  const part = LAKE.uploadPartBytes;
  const small = store();
  await small.file.append(bytes(part - 1));
  await small.file.close();
  expect(small.told).toEqual([`put k ${part - 1}`]);

  const whole = bytes(2 * part + 1);
  const large = store();
  for (let from = 0; from < whole.length; from += 1_000_003)
    await large.file.append(whole.subarray(from, from + 1_000_003));
  await large.file.close();
  expect(large.told).toEqual([
    "create k",
    "began k u1",
    `part 1 ${part}`,
    `part 2 ${part}`,
    "part 3 1",
    "complete 1,2,3",
    "ended k",
  ]);
  expect(Buffer.concat(large.parts).equals(whole)).toBe(true);

  const exact = store();
  await exact.file.append(bytes(part));
  await exact.file.close();
  expect(exact.told).toEqual(["create k", "began k u1", `part 1 ${part}`, "complete 1", "ended k"]);
});

it.each(["create", "list", "part", "complete"] as const)(
  "aborts an upload that was cut off at its %s",
  async (failsAt) => {
    const cut = store(failsAt);
    const write = async () => {
      await cut.file.append(bytes(LAKE.uploadPartBytes + 7));
      await cut.file.close();
    };
    await expect(write()).rejects.toThrow(failsAt);
    await cut.file.abort();
    expect(cut.told.includes("abort")).toBe(failsAt !== "create");
  },
);
