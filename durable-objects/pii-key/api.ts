/**
 * What others may ask of a PiiKey: one secret of 32 bytes, in an object of its own, so that it can be destroyed without a trace
 * (`deleteAll` leaves no byte of it in the file of the object; deleting a row would).
 *
 *     key:<hash of a person>      what their fields are encrypted with; an erasure destroys it for good
 *     salt:<period>               what is hashed in a period; destroys itself when the period is over
 */

import { PII } from "../../r2-layout/limits.ts";
import type { SubjectHash } from "../../r2-layout/subjects.ts";

export interface PiiKeyApi {
  /** Makes it where there is none. @param untilMs when it destroys itself; null: never. @returns null where it was destroyed. */
  secret(untilMs: number | null): Promise<Uint8Array | null>;
  /** Makes none. */
  peek(): Promise<Uint8Array | null>;
  /** For good; what is left says by which rule. Safe to repeat. @returns whether there was one. */
  destroy(version: number): Promise<boolean>;
}

export const userKeyName = (person: SubjectHash): string => `key:${person}`;
export const saltName = (period: number): string => `salt:${period}`;

/** @param atMs when an event was received */
export const saltPeriod = (atMs: number): number => Math.floor(atMs / PII.saltMs);
/** Milliseconds: when its salt is destroyed. A clock that is a little behind still hashes by it. */
export const saltUntil = (period: number): number => (period + 1) * PII.saltMs + PII.saltGraceMs;
