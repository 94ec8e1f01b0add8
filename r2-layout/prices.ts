/** Cloudflare's list prices, in dollars, as of November 2026: for what a statement costs, and for the bill. */

const MILLION = 1e6;
const GB = 1e9;

export const PRICES = {
  workerRequest: 0.3 / MILLION,
  cpuMs: 0.02 / MILLION,
  /** 64 KB written, read or deleted. */
  queueOperation: 0.4 / MILLION,
  objectRequest: 0.15 / MILLION,
  /** 128 MB are billed for as long as a call is under way. */
  objectMs: (12.5 / MILLION) * 0.128 * 1e-3,
  rowRead: 0.001 / MILLION,
  rowWritten: 1 / MILLION,
  objectByteMonth: 0.2 / GB,
  r2Write: 4.5 / MILLION,
  r2Read: 0.36 / MILLION,
  r2ByteMonth: 0.015 / GB,
} as const;
