/** What a statement costs by Cloudflare's list prices of November 2026, in dollars. */

const MILLION = 1e6;
const R2_READ = 0.36 / MILLION;
const WORKER_REQUEST = 0.3 / MILLION;
const OBJECT_REQUEST = 0.15 / MILLION;
/** 128 MB are billed for as long as a call is under way, and the time it computes. */
const OBJECT_MS = ((12.5 / MILLION) * 0.128) / 1_000;
const CPU_MS = 0.02 / MILLION;

/** Whatever is read: the edge and the query Worker; the catalog, the budget (begin, spend), the engine. */
const FIXED = 2 * WORKER_REQUEST + 4 * OBJECT_REQUEST;

export function dollarsOf({ requests, engineMs }: { readonly requests: number; readonly engineMs: number }): number {
  return FIXED + requests * R2_READ + engineMs * (OBJECT_MS + CPU_MS);
}

/** Of column chunks, decoded and added up: 26 MB of them took 0.4 s. A round of six reads takes 30 ms. */
const MS_PER_BYTE = 400 / 26e6;
const ROUND_MS = 30;
const READS_PER_ROUND = 6;
const STATEMENT_MS = 50;

/** About how long an engine is at it. */
export const engineMsOf = ({ bytes, requests }: { readonly bytes: number; readonly requests: number }): number =>
  STATEMENT_MS + bytes * MS_PER_BYTE + Math.ceil(requests / READS_PER_ROUND) * ROUND_MS;
