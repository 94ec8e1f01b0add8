/** Write keys: which source an ingest request belongs to. They are public (every page shows one) and only write. */

import { AUDIT_SOURCE } from "./audit/audit-source.ts";

export type WriteKeys = ReadonlyMap<string, string>;

/** @param config `{"<write key>": "<source name>"}`. @throws SyntaxError or TypeError where it is something else. */
export function parseWriteKeys(config: string): WriteKeys {
  const parsed: unknown = JSON.parse(config);
  if (parsed === null || typeof parsed !== "object" || Array.isArray(parsed)) throw new TypeError("not an object");
  return new Map(
    Object.entries(parsed).map(([key, source]) => {
      if (typeof source !== "string" || source === "" || source.length > 100 || source.includes("\n")) {
        throw new TypeError("a source is a text of 1 to 100 characters on one line");
      }
      if (source === AUDIT_SOURCE) throw new TypeError(`the source ${source} is the audit trail's`);
      return [key, source];
    }),
  );
}

/** The write key of a request without its body: user of Basic authentication, else `?writeKey=`. */
export function writeKeyOf(request: Request, query: URLSearchParams): string | null {
  const basic = /^Basic\s+(\S+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
  const user = basic === undefined ? "" : (decodeBase64(basic).split(":", 1)[0] ?? "");
  return user || query.get("writeKey") || query.get("write_key") || null;
}

/** The write key inside an envelope, or inside a single call. */
export function writeKeyIn(envelope: Readonly<Record<string, unknown>>): string | null {
  const key = envelope.writeKey ?? envelope.write_key;
  return typeof key === "string" && key !== "" ? key : null;
}

function decodeBase64(text: string): string {
  try {
    return atob(text);
  } catch {
    return "";
  }
}
