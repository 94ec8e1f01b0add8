/** A failing request made smaller for as long as it fails: first without headers, then without parts of its body. */
import { gunzipSync, gzipSync } from "node:zlib";
import type { FuzzRequest } from "./requests.ts";

const TRIES_MAX = 3_000;

export async function shrink(
  request: FuzzRequest,
  fails: (request: FuzzRequest) => boolean | Promise<boolean>,
): Promise<FuzzRequest> {
  let smallest = request;
  let tries = 0;
  const attempt = async (next: FuzzRequest): Promise<boolean> => {
    if (tries++ >= TRIES_MAX || !(await fails(next))) return false;
    smallest = next;
    return true;
  };
  for (const name of Object.keys(request.headers)) {
    const { [name]: _, ...headers } = smallest.headers;
    await attempt({ ...smallest, headers });
  }
  const inflated = unpacked(request.body);
  const isPacked = inflated !== null && !(await attempt({ ...smallest, body: inflated }));
  const pack = (body: Uint8Array): FuzzRequest => ({ ...smallest, body: isPacked ? gzipSync(body) : body });
  let body = isPacked ? inflated : smallest.body;
  for (let size = body.length >> 1; size >= 1 && tries < TRIES_MAX; size >>= 1) {
    for (let at = 0; at < body.length && tries < TRIES_MAX; ) {
      const shorter = Buffer.concat([body.subarray(0, at), body.subarray(at + size)]);
      if (await attempt(pack(shorter))) body = shorter;
      else at += size;
    }
  }
  return smallest;
}

function unpacked(body: Uint8Array): Uint8Array | null {
  try {
    return gunzipSync(body);
  } catch {
    return null;
  }
}

/** For a report: as text where it is text. */
export function describeRequest({ call, headers, body }: FuzzRequest): string {
  const text = Buffer.from(body).toString("utf8");
  const isText = Buffer.from(text).equals(Buffer.from(body));
  const shown = isText
    ? JSON.stringify(text.slice(0, 4_000))
    : `base64 ${Buffer.from(body).toString("base64").slice(0, 4_000)}`;
  return `${call} ${JSON.stringify(headers)} ${body.length} bytes: ${shown}`;
}
