/**
 * Every text that bytes hold, in whatever they are packed: as they are, unpacked from gzip or deflate, and the rows of
 * Parquet and the values of Avro, whose pages would hide a name. What is unpacked is looked at again.
 */
import { gunzipSync, inflateRawSync, zstdDecompressSync } from "node:zlib";
import { parquetReadObjects } from "hyparquet";
import { decodeContainer } from "../../../r2-layout/iceberg/avro-decode.ts";

export interface Layer {
  /** How it was packed, outermost first; empty: not at all. */
  readonly packing: string;
  readonly bytes: Uint8Array;
}

const GZIP = [0x1f, 0x8b];
const PARQUET = Buffer.from("PAR1");
const AVRO = Buffer.from("Obj\u0001");
const COMPRESSORS = { ZSTD: (packed: Uint8Array) => new Uint8Array(zstdDecompressSync(packed)) };
/** Unpacked within unpacked: a stored message that was parked is one such. */
const DEEPEST = 3;

/** @throws Error where what says that it is Parquet, Avro or gzip cannot be read: nobody has looked at it then. */
export async function layersOf(bytes: Uint8Array, packing = "", depth = 0): Promise<Layer[]> {
  const layers: Layer[] = [{ packing, bytes }];
  if (depth === DEEPEST) return layers;
  const within = async (name: string, unpacked: Uint8Array) =>
    layers.push(...(await layersOf(unpacked, packing === "" ? name : `${packing} > ${name}`, depth + 1)));
  const starts = (magic: ArrayLike<number>) => Array.from(magic).every((byte, at) => bytes[at] === byte);
  if (starts(GZIP)) await within("gzip", gunzipSync(bytes));
  else if (starts(PARQUET)) await within("parquet", await parquetRows(bytes));
  else if (starts(AVRO)) await within("avro", json(decodeContainer(bytes)));
  else {
    const inflated = deflated(bytes);
    if (inflated) await within("deflate", inflated);
  }
  return layers;
}

/** Raw deflate has no mark: whatever unpacks to its last byte may have been packed. */
function deflated(bytes: Uint8Array): Uint8Array | null {
  try {
    return bytes.length < 3 ? null : inflateRawSync(bytes);
  } catch {
    return null;
  }
}

async function parquetRows(bytes: Uint8Array): Promise<Uint8Array> {
  const file = new Uint8Array(bytes).buffer;
  return json(await parquetReadObjects({ file, compressors: COMPRESSORS }));
}

/** Bytes within as Latin-1, so that a text in them stays a text. */
const json = (value: unknown): Uint8Array =>
  Buffer.from(
    JSON.stringify(value, (_, each) => {
      if (typeof each === "bigint") return String(each);
      return ArrayBuffer.isView(each)
        ? Buffer.from(each.buffer, each.byteOffset, each.byteLength).toString("latin1")
        : each;
    }),
  );
