/**
 * Looks for texts in everything that a local run has stored, below every interface: each byte of each live object in R2, its
 * name and metadata, and each row of each table of each SQLite file of each object, queues of the local run among them. Both
 * also unpacked (decode.ts). Of a run that has stopped, or of a copy of its folder.
 */
import { createHash, createHmac } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { layersOf } from "./decode.ts";

export interface Trace {
  /** `r2`: an object of the bucket. `row`: of a table. `file`: bytes of an object that was erased whole. */
  readonly kind: "r2" | "row" | "file";
  /** The object's key, or class, file and table. */
  readonly place: string;
  readonly packing: string;
  readonly needle: string;
}

export interface Scan {
  readonly traces: readonly Trace[];
  /** So that nothing was found because nothing was looked at. */
  readonly looked: { readonly objects: number; readonly bytes: number; readonly files: number; readonly rows: number };
}

/** @param dir the run's folder (`EVENTPILE_DIR`) */
export async function scanState(dir: string, needles: readonly string[]): Promise<Scan> {
  const scanner = new Scanner(needles);
  for (const file of sqliteFiles(dir)) await scanner.database(file, relative(dir, file));
  return { traces: scanner.traces, looked: scanner.looked };
}

/** Every byte of the files of these objects: what an erasure of a whole object leaves, free pages and all. */
export async function scanFiles(files: readonly string[], needles: readonly string[]): Promise<Trace[]> {
  const scanner = new Scanner(needles);
  for (const file of files) {
    for (const path of [file, `${file}-wal`].filter(existsSync)) {
      await scanner.bytes("file", basename(dirname(path)), readFileSync(path));
    }
  }
  return scanner.traces;
}

/** Where the runtime keeps an object of this name. @param className as its folder has it, `eventpile-objects-UserTimeline` */
export function objectFile(dir: string, className: string, name: string): string {
  const key = createHash("sha256").update(className).digest();
  const half = (part: string | Buffer) => createHmac("sha256", key).update(part).digest().subarray(0, 16);
  const ofName = half(name);
  const id = Buffer.concat([ofName, half(ofName)]).toString("hex");
  return join(dir, "state/do", className, `${id}.sqlite`);
}

const sqliteFiles = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".sqlite"))
    .map((path) => join(dir, path));

class Scanner {
  readonly traces: Trace[] = [];
  readonly looked = { objects: 0, bytes: 0, files: 0, rows: 0 };
  readonly #needles: readonly Buffer[];

  constructor(needles: readonly string[]) {
    this.#needles = needles.map((needle) => Buffer.from(needle));
  }

  async database(path: string, place: string): Promise<void> {
    this.looked.files++;
    const db = new DatabaseSync(path);
    try {
      const tables = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all() as { name: string }[];
      for (const { name } of tables) {
        const all = db.prepare(`SELECT * FROM "${name}"`);
        all.setReadBigInts(true);
        for (const row of all.iterate()) {
          this.looked.rows++;
          for (const value of Object.values(row)) await this.#value(value, `${place} ${name}`);
        }
      }
      if (tables.some(({ name }) => name === "_mf_objects")) await this.#bucket(db, path);
    } finally {
      db.close();
    }
  }

  async bytes(kind: Trace["kind"], place: string, bytes: Uint8Array): Promise<void> {
    for (const { packing, bytes: layer } of await layersOf(bytes)) {
      this.looked.bytes += layer.length;
      const buffer = Buffer.from(layer.buffer, layer.byteOffset, layer.length);
      for (const needle of this.#needles) {
        if (buffer.includes(needle)) this.traces.push({ kind, place, packing, needle: needle.toString() });
      }
    }
  }

  /** Numbers hold no name. */
  #value(value: unknown, place: string): Promise<void> | undefined {
    if (typeof value === "string") return this.bytes("row", place, Buffer.from(value));
    if (value instanceof Uint8Array) return this.bytes("row", place, value);
  }

  /** The bytes of each live object; its row (key, metadata) was looked at as a row. */
  async #bucket(db: DatabaseSync, path: string): Promise<void> {
    const blobs = join(dirname(path), "../eventpile/blobs");
    const objects = db.prepare("SELECT key, blob_id AS blob FROM _mf_objects").all() as {
      key: string;
      blob: string | null;
    }[];
    const parts = db
      .prepare("SELECT object_key AS key, blob_id AS blob FROM _mf_multipart_parts ORDER BY part_number")
      .all() as { key: string | null; blob: string }[];
    // Of an upload that has not ended.
    for (const { blob } of parts.filter(({ key }) => key === null)) objects.push({ key: "part of an upload", blob });
    for (const { key, blob } of objects) {
      this.looked.objects++;
      const whole =
        blob === null
          ? Buffer.concat(parts.filter((part) => part.key === key).map((part) => readFileSync(join(blobs, part.blob))))
          : readFileSync(join(blobs, blob));
      await this.bytes("r2", key, whole);
    }
  }
}
