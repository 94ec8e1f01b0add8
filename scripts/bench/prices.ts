/** What others charge, and which of R2's calls are billed as what. Prices: r2-layout/prices.ts. */

/** Dollars per million events. */
export const REFERENCES = {
  /** Snowplow's own stack on AWS. */
  snowplow: 0.77,
  /** One queue message and one row for each event, on this platform. */
  messageAndRowPerEvent: 3.11,
} as const;

/** Calls of R2's that are billed as writes; `delete` and `abort` are free, all others are reads. */
export const R2_WRITES: ReadonlySet<string> = new Set([
  "put",
  "list",
  "createMultipartUpload",
  "uploadPart",
  "complete",
]);
export const R2_FREE: ReadonlySet<string> = new Set(["delete", "abort", "resumeMultipartUpload"]);
