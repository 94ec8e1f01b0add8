/**
 * node:zlib for simulated runs: what is packed is stored blocks, valid gzip and deflate that costs no compressor. A handle
 * of the real one takes 60 µs and memory outside of the heap, for which the collector then runs.
 *
 * What another program has packed goes to the real one.
 */
import * as real from "node:zlib";

export * from "node:zlib";

type Input = string | ArrayBufferLike | ArrayBufferView;

const GZIP_HEADER = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255);
const GZIP_TRAILER = 8;
const BLOCK_HEADER = 5;
const BLOCK_BYTES = 0xffff;

export function gzipSync(input: Input): Buffer {
  const bytes = bytesOf(input);
  const [from, size] = [GZIP_HEADER.length, storedSize(bytes.length)];
  const packed = Buffer.alloc(from + size + GZIP_TRAILER);
  packed.set(GZIP_HEADER);
  store(bytes, packed, from);
  packed.writeUInt32LE(real.crc32(bytes), from + size);
  packed.writeUInt32LE(bytes.length, from + size + 4);
  return packed;
}

export function gunzipSync(input: Input, options?: object): Buffer {
  const packed = bytesOf(input);
  if (!GZIP_HEADER.every((byte, i) => packed[i] === byte)) return real.gunzipSync(input as never, options);
  const end = packed.length - GZIP_TRAILER;
  const bytes = stored(packed, GZIP_HEADER.length, end);
  if (!bytes || packed.readUInt32LE(end) !== real.crc32(bytes) || packed.readUInt32LE(end + 4) !== bytes.length) {
    throw Object.assign(new Error("unexpected end of file"), { errno: -5, code: "Z_BUF_ERROR" });
  }
  return bytes;
}

export function deflateRawSync(input: Input): Buffer {
  const bytes = bytesOf(input);
  const packed = Buffer.alloc(storedSize(bytes.length));
  store(bytes, packed, 0);
  return packed;
}

export function inflateRawSync(input: Input, options?: object): Buffer {
  const packed = bytesOf(input);
  return stored(packed, 0, packed.length) || real.inflateRawSync(input as never, options);
}

const storedSize = (bytes: number) => bytes + BLOCK_HEADER * Math.max(1, Math.ceil(bytes / BLOCK_BYTES));

/** RFC 1951, 3.2.4. */
function store(bytes: Buffer, to: Buffer, from: number): void {
  let at = from;
  for (let done = 0; ; ) {
    const length = Math.min(BLOCK_BYTES, bytes.length - done);
    const last = done + length === bytes.length;
    to[at] = last ? 1 : 0;
    to.writeUInt16LE(length, at + 1);
    to.writeUInt16LE(~length & 0xffff, at + 3);
    to.set(bytes.subarray(done, done + length), at + BLOCK_HEADER);
    at += BLOCK_HEADER + length;
    done += length;
    if (last) return;
  }
}

/** @returns null unless these are stored blocks, the last one last. */
function stored(packed: Buffer, from: number, end: number): Buffer | null {
  const blocks: Buffer[] = [];
  for (let at = from; at + BLOCK_HEADER <= end; ) {
    const kind = packed[at]!;
    const length = packed.readUInt16LE(at + 1);
    if (kind > 1 || packed.readUInt16LE(at + 3) !== (~length & 0xffff)) return null;
    blocks.push(packed.subarray(at + BLOCK_HEADER, at + BLOCK_HEADER + length));
    at += BLOCK_HEADER + length;
    if (kind === 1) return at === end ? Buffer.concat(blocks) : null;
  }
  return null;
}

function bytesOf(input: Input): Buffer {
  if (typeof input === "string") return Buffer.from(input);
  if (!ArrayBuffer.isView(input)) return Buffer.from(input);
  return Buffer.from(input.buffer as ArrayBuffer, input.byteOffset, input.byteLength);
}
