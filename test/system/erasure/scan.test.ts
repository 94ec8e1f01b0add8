import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { deflateRawSync, gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, describe, expect, it } from "vitest";
import { encodeContainer } from "../../../r2-layout/iceberg/avro-encode.ts";
import { objectFile, scanFiles, scanState } from "./scan.ts";

const NAME = "forget-me-7";
const root = mkdtempSync(join(tmpdir(), "scan-"));
afterAll(() => rmSync(root, { recursive: true }));

const CLASS = "eventpile-objects-Sample";
let runs = 0;

/** A run's folder with an object of one table and a bucket of these objects. */
function folder({ rows = [], objects = {}, metadata = "{}" }: Planted): string {
  const dir = join(root, String(++runs));
  const object = objectFile(dir, CLASS, "sample");
  mkdirSync(join(object, ".."), { recursive: true });
  const db = new DatabaseSync(object);
  db.exec("CREATE TABLE kept (n INTEGER PRIMARY KEY, value)");
  for (const value of rows) db.prepare("INSERT INTO kept (value) VALUES (?)").run(value);
  db.close();
  const bucket = join(dir, "state/r2/miniflare-R2BucketObject");
  const blobs = join(dir, "state/r2/eventpile/blobs");
  for (const path of [bucket, blobs]) mkdirSync(path, { recursive: true });
  const index = new DatabaseSync(join(bucket, "0.sqlite"));
  index.exec("CREATE TABLE _mf_objects (key TEXT PRIMARY KEY, blob_id TEXT, custom_metadata TEXT)");
  index.exec("CREATE TABLE _mf_multipart_parts (upload_id TEXT, part_number INTEGER, blob_id TEXT, object_key TEXT)");
  for (const [i, [key, bytes]] of Object.entries(objects).entries()) {
    // A large one lies in parts, cut anywhere.
    const parts = key.startsWith("parts/") ? [bytes.subarray(0, 9), bytes.subarray(9)] : [];
    index.prepare("INSERT INTO _mf_objects VALUES (?, ?, ?)").run(key, parts.length > 0 ? null : `${i}`, metadata);
    for (const [n, part] of parts.entries()) {
      index.prepare("INSERT INTO _mf_multipart_parts VALUES ('u', ?, ?, ?)").run(n, `${i}-${n}`, key);
      writeFileSync(join(blobs, `${i}-${n}`), part);
    }
    if (parts.length === 0) writeFileSync(join(blobs, `${i}`), bytes);
  }
  index.close();
  // What nothing names is none of the live objects.
  writeFileSync(join(blobs, "deleted"), NAME);
  return dir;
}

interface Planted {
  readonly rows?: readonly (string | number | Uint8Array)[];
  readonly objects?: Readonly<Record<string, Uint8Array>>;
  readonly metadata?: string;
}

const text = Buffer.from(`{"user_id":"${NAME}"}`);
const many = Buffer.from(Array.from({ length: 500 }, (_, i) => `line ${i} of ${i % 97}`).join("\n") + text);
const avro = () => {
  const schema = {
    type: "record",
    name: "manifest",
    fields: [{ name: "path", type: "string", "field-id": 1 }],
  } as const;
  return encodeContainer(schema, {}, [{ path: NAME }]);
};
const parquet = () =>
  Buffer.from(
    parquetWriteBuffer({
      columnData: [{ name: "user_id", data: [...Array.from({ length: 200 }, () => "somebody"), NAME], type: "STRING" }],
    }),
  );

describe("the scan of a run's state", () => {
  it.each<[string, Planted, string]>([
    ["a text of a row", { rows: [1, text.toString()] }, ""],
    ["a blob of a row", { rows: [new Uint8Array(text)] }, ""],
    ["a deflated blob of a row", { rows: [deflateRawSync(many)] }, "deflate"],
    ["an object", { objects: { "rules/1.json": text } }, ""],
    ["a packed object", { objects: { "log/1.ndjson.gz": gzipSync(many) } }, "gzip"],
    ["an object that was packed twice", { objects: { "poison/1": gzipSync(gzipSync(many)) } }, "gzip > gzip"],
    ["an object in parts", { objects: { "parts/1": gzipSync(many) } }, "gzip"],
    ["a column of Parquet", { objects: { "lake/1.parquet": parquet() } }, "parquet"],
    ["an Avro manifest", { objects: { "lake/m.avro": avro() } }, "avro"],
    ["an object's key", { objects: { [`jobs/${NAME}`]: Buffer.from("x") } }, ""],
    ["an object's metadata", { objects: { x: Buffer.from("x") }, metadata: `{"of":"${NAME}"}` }, ""],
  ])("promise 7: finds a name in %s", async (_, planted, packing) => {
    const { traces } = await scanState(folder(planted), [NAME]);
    expect(traces.map((trace) => trace.packing)).toContain(packing);
  });

  it("finds nothing where there is nothing, and says how much it has looked at", async () => {
    const objects = { "log/1.ndjson.gz": gzipSync("somebody else"), "lake/m.avro": avro() };
    const scan = await scanState(folder({ rows: ["somebody", 5], objects }), ["nobody"]);
    expect(scan.traces).toEqual([]);
    expect(scan.looked).toMatchObject({ objects: 2, files: 2, rows: 4 });
  });

  it("does not pass over an object that it cannot read", async () => {
    const damaged = gzipSync(many).subarray(0, 40);
    await expect(scanState(folder({ objects: { "log/1.ndjson.gz": damaged } }), [NAME])).rejects.toThrow();
  });

  it("finds in a file's free pages what no query returns, where the object had to be erased whole", async () => {
    const dir = folder({ rows: Array.from({ length: 50 }, () => many) });
    const file = objectFile(dir, CLASS, "sample");
    const db = new DatabaseSync(file);
    db.exec("DELETE FROM kept");
    db.close();
    expect((await scanState(dir, [NAME])).traces).toEqual([]);
    expect(await scanFiles([file], [NAME])).toEqual([{ kind: "file", place: CLASS, packing: "", needle: NAME }]);
    const empty = join(dir, "empty.sqlite");
    writeFileSync(empty, "");
    expect(await scanFiles([empty, join(dir, "none.sqlite")], [NAME])).toEqual([]);
  });
});
