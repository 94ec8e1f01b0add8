/** What others may ask of the PiiAudit (one object, named `pii`): where undeclared PII was found, day by day. No found value is in it. */

export const PII_AUDIT_NAME = "pii";

/** One kind in one field of one event. */
export interface PiiFinding {
  readonly source: string;
  /** `*` for a name that is itself a finding. */
  readonly eventName: string;
  /** Its place in the sender's JSON: `properties.items[].note`. */
  readonly field: string;
  /** queues/pii-audit/detect.ts has them. */
  readonly kind: string;
  /** Sampled events that had it. */
  readonly events: number;
  /** Microseconds: when the newest of them was received. */
  readonly newestAt: number;
}

/** Events looked at. */
export interface PiiSample {
  readonly source: string;
  readonly eventName: string;
  readonly events: number;
}

export interface ShardReport {
  readonly findings: readonly PiiFinding[];
  readonly sampled: readonly PiiSample[];
  /** Findings that there was no room for. */
  readonly left: number;
}

export interface PiiReport {
  /** Milliseconds: when the newest audit was over; null before the first. */
  readonly auditedAt: number | null;
  /** Over the days asked for; the one that most events had stands first. `sampled`: events of the name and source looked at. */
  readonly findings: readonly (PiiFinding & {
    readonly sampled: number;
    readonly firstDay: string;
    readonly lastDay: string;
  })[];
  readonly sampled: number;
  readonly left: number;
}

export interface PiiAuditApi {
  /** @param day `YYYY-MM-DD`. @returns whether it is still to be done. */
  begin(day: string): Promise<boolean>;
  /** Takes the place of what the shard's report of the day was. */
  put(day: string, shard: number, report: ShardReport): Promise<void>;
  finish(day: string, atMs: number): Promise<void>;
  /** @param days so many of the newest that were audited. */
  report(days: number): Promise<PiiReport>;
}
