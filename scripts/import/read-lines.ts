/** The lines of a file, gzip or not, a few at a time: memory does not grow with the file. */
import { createReadStream } from "node:fs";
import { pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";

export interface LineOfFile {
  /** From 1. */
  readonly number: number;
  /** Without its line end. Empty and `cut` where the line is longer than `LINE_BYTES`. */
  readonly bytes: Uint8Array;
  readonly cut: boolean;
}

/** Servers refuse longer requests long before. */
const LINE_BYTES = 64 * 1024;
const LF = 10;
const CR = 13;

/** @param onRead is told how many bytes of the file were read, as they lie on disk. */
export async function* readLines(path: string, onRead: (bytes: number) => void): AsyncGenerator<LineOfFile> {
  let number = 0;
  let parts: Uint8Array[] = [];
  let held = 0;
  const line = (): LineOfFile => {
    const cut = held > LINE_BYTES;
    const bytes = cut ? new Uint8Array() : Buffer.concat(parts);
    parts = [];
    held = 0;
    return { number: ++number, bytes: bytes.at(-1) === CR ? bytes.subarray(0, -1) : bytes, cut };
  };
  for await (const chunk of inflated(path, onRead)) {
    let start = 0;
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, start)) {
      hold(chunk.subarray(start, end));
      yield line();
      start = end + 1;
    }
    hold(chunk.subarray(start));
  }
  if (held > 0) yield line();

  function hold(part: Uint8Array): void {
    held += part.length;
    if (held <= LINE_BYTES && part.length > 0) parts.push(part);
  }
}

/** The content says whether it is gzip, not the name. */
async function* inflated(path: string, onRead: (bytes: number) => void): AsyncGenerator<Buffer> {
  const file = createReadStream(path);
  const source = (async function* () {
    for await (const chunk of file) {
      onRead(chunk.length);
      yield chunk as Buffer;
    }
  })();
  const first = await source.next();
  if (first.done) return;
  const whole = (async function* () {
    yield first.value;
    yield* source;
  })();
  if (first.value[0] !== 0x1f || first.value[1] !== 0x8b) {
    yield* whole;
    return;
  }
  const gunzip = createGunzip();
  // A failure of either side ends the loop below with its error.
  pipeline(Readable.from(whole), gunzip, () => {});
  for await (const chunk of gunzip) yield chunk as Buffer;
}
