/**
 * Reads a request's body within its bounds: the announced length first, then the bytes as they come, then the bytes
 * as they inflate. Content-Encoding is not asked: proxies drop it, and gzip says itself what it is (1f 8b).
 */
import { gunzipSync } from "node:zlib";
import { INGEST } from "../../r2-layout/limits.ts";
import { err, ok, type Result } from "../../r2-layout/result.ts";
import type { Rejection } from "../problem.ts";

export interface BodyLimits {
  /** As sent. */
  readonly bodyBytes: number;
  readonly inflatedBytes: number;
  /** Asked before so many bytes in all are held; false: there is no room. */
  readonly grow?: (to: number) => boolean;
}

export async function readBytes(request: Request, limits: BodyLimits): Promise<Result<Uint8Array, Rejection>> {
  let sent: Uint8Array | Rejection;
  try {
    sent = await readBounded(request, limits);
  } catch {
    // The sender hung up: the answer is for the log.
    return err({ reason: "body_cut_off" });
  }
  if (!(sent instanceof Uint8Array)) return err(sent);
  const inflated = inflate(sent, limits.inflatedBytes);
  return inflated.ok && limits.grow?.(inflated.value.length) === false ? err(tooBusy) : inflated;
}

/** Where there are more bytes than may come, the rest is not read. */
async function readBounded(request: Request, { bodyBytes: limit, grow }: BodyLimits): Promise<Uint8Array | Rejection> {
  const announced = request.headers.get("content-length");
  if (announced !== null && Number(announced) > limit) return tooLarge(limit);
  if (announced !== null && grow?.(Number(announced)) === false) return tooBusy;
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
    const refusal = length > limit ? tooLarge(limit) : grow?.(length) === false ? tooBusy : null;
    if (refusal) {
      await reader.cancel();
      return refusal;
    }
    chunks.push(value);
  }
}

export function inflate(bytes: Uint8Array, limit: number): Result<Uint8Array, Rejection> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes.length > limit ? err(tooLarge(limit)) : ok(bytes);
  try {
    return ok(gunzipSync(bytes, { maxOutputLength: limit }));
  } catch (error) {
    // What Node and workerd both throw for `maxOutputLength`, under different names.
    return err(error instanceof RangeError ? tooLarge(limit) : { reason: "bad_gzip" });
  }
}

const tooLarge = (limit_bytes: number): Rejection => ({ reason: "body_too_large", limit_bytes });
const tooBusy: Rejection = { reason: "too_busy", retry_after_s: INGEST.retryAfterSeconds };
