/**
 * Reads a request's body within its bounds: the announced length first, then the bytes as they come, then the bytes
 * as they inflate. Content-Encoding is not asked: proxies drop it, and gzip says itself what it is (1f 8b).
 */
import { gunzipSync } from "node:zlib";
import { err, ok, type Result } from "../../r2-layout/result.ts";
import type { Rejection } from "../problem.ts";

export interface BodyLimits {
  /** As sent. */
  readonly bodyBytes: number;
  readonly inflatedBytes: number;
}

export async function readBytes(request: Request, limits: BodyLimits): Promise<Result<Uint8Array, Rejection>> {
  let sent: Uint8Array | null;
  try {
    sent = await readBounded(request, limits.bodyBytes);
  } catch {
    // The sender hung up: the answer is for the log.
    return err({ reason: "body_cut_off" });
  }
  if (sent === null) return tooLarge(limits.bodyBytes);
  return inflate(sent, limits.inflatedBytes);
}

/** Null where there are more bytes than `limit`: the rest is then not read. */
async function readBounded(request: Request, limit: number): Promise<Uint8Array | null> {
  const announced = request.headers.get("content-length");
  if (announced !== null && Number(announced) > limit) return null;
  // HTTP holds a sender to the length it announced, so this much and no more will come.
  if (announced !== null) return new Uint8Array(await request.arrayBuffer());
  if (request.body === null) return new Uint8Array(0);
  const reader = (request.body as ReadableStream<Uint8Array>).getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return Buffer.concat(chunks, length);
    length += value.length;
    if (length > limit) {
      await reader.cancel();
      return null;
    }
    chunks.push(value);
  }
}

export function inflate(bytes: Uint8Array, limit: number): Result<Uint8Array, Rejection> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes.length > limit ? tooLarge(limit) : ok(bytes);
  try {
    return ok(gunzipSync(bytes, { maxOutputLength: limit }));
  } catch (error) {
    // What Node and workerd both throw for `maxOutputLength`, under different names.
    return error instanceof RangeError ? tooLarge(limit) : err({ reason: "bad_gzip" });
  }
}

const tooLarge = (limit_bytes: number) => err<Rejection>({ reason: "body_too_large", limit_bytes });
