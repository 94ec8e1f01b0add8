/** What a statement costs by Cloudflare's list prices, in dollars. */
import { PLATFORM } from "../../../r2-layout/limits.ts";
import { PRICES } from "../../../r2-layout/prices.ts";

/** Whatever is read: the edge and the query Worker; the catalog, the budget (begin, spend), the engine. */
const FIXED = 2 * PRICES.workerRequest + 4 * PRICES.objectRequest;

export function dollarsOf({ requests, engineMs }: { readonly requests: number; readonly engineMs: number }): number {
  return FIXED + requests * PRICES.r2Read + engineMs * (PRICES.objectMs + PRICES.cpuMs);
}

/** Of column chunks, decoded and added up: 26 MB of them took 0.4 s. A round of six reads takes 30 ms. */
const MS_PER_BYTE = 400 / 26e6;
const ROUND_MS = 30;
const STATEMENT_MS = 50;

/** About how long an engine is at it. */
export const engineMsOf = ({ bytes, requests }: { readonly bytes: number; readonly requests: number }): number =>
  STATEMENT_MS + bytes * MS_PER_BYTE + Math.ceil(requests / PLATFORM.simultaneousConnections) * ROUND_MS;
