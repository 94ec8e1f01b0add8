/**
 * What others may ask of an EmailIndex: one of `EMAIL_INDEX.objects`, each with the addresses whose keyed hash falls to
 * it. Who has an address is a hint: whoever is found is asked whether it is theirs still.
 */
import type { SealedSubject } from "./address.ts";

export interface EmailEntry extends SealedSubject {
  /** Of the address, 16 bytes. */
  readonly address: Uint8Array;
}

export interface EmailIndexApi {
  /** Safe to repeat: what is there already is no row written. Beyond `EMAIL_INDEX.subjectsPerAddress` nothing is added. */
  add(entries: readonly EmailEntry[]): Promise<void>;
  /** `full`: there may have been more. */
  find(address: Uint8Array): Promise<{ readonly subjects: SealedSubject[]; readonly full: boolean }>;
  /**
   * For an erasure: these rows go, and are never added again. Safe to repeat. @returns how many there were
   */
  forget(rows: readonly ForgottenEmail[]): Promise<{ readonly removed: number }>;
  /** How many rows there are of what was, or is to be, forgotten. */
  traces(rows: readonly ForgottenEmail[]): Promise<number>;
}

/** A row; without a nonce: whoever has the address. */
export interface ForgottenEmail {
  readonly address: Uint8Array;
  readonly nonce: Uint8Array | null;
}
