/**
 * R2's S3 interface for a local run, as far as readers of files need it: GET with a range, HEAD, and listings, by path
 * (`/<bucket>/<key>`) on the origin of the run. Miniflare's R2 has none, and Iceberg's engines read through nothing else.
 * Read-only. A request has to be signed with the run's own access key; its signature is not looked at.
 */
import { errorXml, listXml, locationXml } from "./s3-xml.ts";

/** The slice of R2 that it serves. */
export interface ServedBucket {
  head(key: string): Promise<R2Object | null>;
  get(key: string, options?: R2GetOptions): Promise<R2ObjectBody | null>;
  list(options: R2ListOptions): Promise<R2Objects>;
}

export interface S3Settings {
  readonly bucketName: string;
  readonly accessKeyId: string;
}

/** Whether a path is the bucket's: anything else on the origin is the system's own. */
export const isS3Path = (pathname: string, { bucketName }: S3Settings): boolean =>
  pathname === `/${bucketName}` || pathname.startsWith(`/${bucketName}/`);

export async function answerS3(request: Request, bucket: ServedBucket, settings: S3Settings): Promise<Response> {
  const url = new URL(request.url);
  if (keyIdOf(request, url) !== settings.accessKeyId)
    return refused(403, "InvalidAccessKeyId", "not the run's own key");
  if (request.method !== "GET" && request.method !== "HEAD") return refused(405, "MethodNotAllowed", "it is read-only");
  const key = keyOf(url.pathname.slice(settings.bucketName.length + 2));
  if (key === null) return refused(400, "InvalidURI", "its escapes are no UTF-8");
  if (key !== "") return request.method === "HEAD" ? head(bucket, key) : get(request, bucket, key);
  if (request.method === "HEAD") return new Response(null);
  return url.searchParams.has("location") ? xml(locationXml()) : list(bucket, settings.bucketName, url.searchParams);
}

/** Null for escapes that stand for no text. */
function keyOf(path: string): string | null {
  try {
    return decodeURIComponent(path);
  } catch {
    return null;
  }
}

/** Of a signed header or a signed address. */
function keyIdOf(request: Request, url: URL): string | null {
  const header = /Credential=([^/,\s]+)\//.exec(request.headers.get("authorization") ?? "")?.[1];
  return header ?? url.searchParams.get("X-Amz-Credential")?.split("/")[0] ?? null;
}

async function head(bucket: ServedBucket, key: string): Promise<Response> {
  const object = await bucket.head(key);
  if (!object) return new Response(null, { status: 404 });
  return new Response(null, { headers: { ...headersOf(object), "content-length": String(object.size) } });
}

async function get(request: Request, bucket: ServedBucket, key: string): Promise<Response> {
  const header = request.headers.get("range");
  const asked = header === null ? null : parseRange(header);
  const known = asked === null ? null : await bucket.head(key);
  if (asked !== null && !known) return noSuchKey(key);
  const range = asked && known ? within(asked, known.size) : null;
  if (asked && known && !range) {
    return refused(416, "InvalidRange", "the object is shorter", { "content-range": `bytes */${known.size}` });
  }
  const object = await bucket.get(key, range ? { range } : {});
  if (!object) return noSuchKey(key);
  const length = range?.length ?? object.size;
  const headers = { ...headersOf(object), "content-length": String(length) };
  if (!range) return new Response(whole(object.body, length), { headers });
  const end = range.offset + range.length - 1;
  const ranged = { ...headers, "content-range": `bytes ${range.offset}-${end}/${object.size}` };
  return new Response(whole(object.body, length), { status: 206, headers: ranged });
}

/** A body of known length, where the runtime has such streams: else it would be sent in chunks, without the header. */
function whole(body: ReadableStream, length: number): ReadableStream {
  if (typeof FixedLengthStream === "undefined") return body;
  const { readable, writable } = new FixedLengthStream(length);
  void body.pipeTo(writable).catch(() => {}); // Who reads it sees that it ends early.
  return readable;
}

interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

type AskedRange = { readonly from: number; readonly to: number | null } | { readonly last: number };

/** One range, as engines ask for; another kind of header is as good as none. */
export function parseRange(header: string): AskedRange | null {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header.trim());
  if (!match || (match[1] === "" && match[2] === "")) return null;
  if (match[1] === "") return { last: Number(match[2]) };
  return { from: Number(match[1]), to: match[2] === "" ? null : Number(match[2]) };
}

/** Cut to the object; null where nothing of it lies inside. */
export function within(asked: AskedRange, size: number): ByteRange | null {
  if ("last" in asked) {
    const length = Math.min(asked.last, size);
    return length === 0 ? null : { offset: size - length, length };
  }
  const end = Math.min(asked.to ?? size - 1, size - 1);
  return asked.from > end ? null : { offset: asked.from, length: end - asked.from + 1 };
}

async function list(bucket: ServedBucket, bucketName: string, query: URLSearchParams): Promise<Response> {
  const [prefix, delimiter] = [query.get("prefix") ?? "", query.get("delimiter") ?? ""];
  const token = query.get("continuation-token") ?? undefined;
  const limit = Math.min(Number(query.get("max-keys") ?? KEYS_MAX) || KEYS_MAX, KEYS_MAX);
  const page = await bucket.list({
    prefix,
    limit,
    ...(delimiter !== "" && { delimiter }),
    ...(token !== undefined ? { cursor: token } : { startAfter: query.get("start-after") ?? undefined }),
  });
  return xml(
    listXml({
      bucketName,
      prefix,
      delimiter,
      keysMax: limit,
      objects: page.objects.map(({ key, size, httpEtag, uploaded }) => ({ key, size, etag: httpEtag, uploaded })),
      prefixes: page.delimitedPrefixes,
      next: page.truncated ? page.cursor : null,
      isUrlEncoded: query.get("encoding-type") === "url",
    }),
  );
}

const KEYS_MAX = 1_000;

const headersOf = ({ httpEtag, uploaded, httpMetadata }: R2Object): Record<string, string> => ({
  etag: httpEtag,
  "last-modified": uploaded.toUTCString(),
  "accept-ranges": "bytes",
  "content-type": httpMetadata?.contentType ?? "application/octet-stream",
  // The bytes as they are: a proxy that packs them would make ranges mean something else.
  "cache-control": "no-transform",
});

const xml = (text: string, status = 200, headers: Record<string, string> = {}) =>
  new Response(text, { status, headers: { ...headers, "content-type": "application/xml" } });
const refused = (status: number, code: string, message: string, headers?: Record<string, string>) =>
  xml(errorXml(code, message), status, headers);
const noSuchKey = (key: string) => refused(404, "NoSuchKey", `there is no object ${key}`);
