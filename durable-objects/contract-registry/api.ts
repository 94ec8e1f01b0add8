/** What others may ask of the ContractRegistry (one object, named `contracts`). Documents cross as JSON text: what was registered comes back as it came. */
import type { CompatibilityBreak, CompatibilityRules } from "../../r2-layout/contracts/compatibility.ts";
import type { SchemaFault } from "../../r2-layout/contracts/json-schema.ts";

export const CONTRACT_REGISTRY_NAME = "contracts";

export interface StoredContract {
  readonly eventName: string;
  readonly version: number;
  /** JSON, as it was sent. */
  readonly document: string;
  /** SHA-256 of the document with its keys in order and no spaces; hexadecimal. */
  readonly fingerprint: string;
  /** Milliseconds. */
  readonly createdAt: number;
}

/** One event name. */
export interface ContractEntry {
  readonly eventName: string;
  readonly versions: readonly number[];
  readonly meaning: string;
  readonly owner: string;
  readonly rules: CompatibilityRules;
  readonly rollouts: readonly Rollout[];
}

export type RegisterAnswer =
  /** `known`: the same document was registered before. `passes`: it was only tried. */
  | { readonly kind: "registered" | "known" | "passes"; readonly contract: StoredContract }
  | { readonly kind: "invalid"; readonly fault: SchemaFault }
  /** A version never changes. */
  | { readonly kind: "taken"; readonly eventName: string; readonly version: number }
  /** Versions are dense from 1. */
  | { readonly kind: "gap"; readonly eventName: string; readonly version: number; readonly expected: number }
  | {
      readonly kind: "incompatible";
      readonly rules: CompatibilityRules;
      readonly breaks: readonly CompatibilityBreak[];
    }
  | { readonly kind: "full"; readonly limit: number };

/** How far a contract is rolled out to a source: told in the answer, kept apart, or not taken. */
export const ROLLOUT_MODES = ["off", "warn", "quarantine", "reject"] as const;
export type RolloutMode = (typeof ROLLOUT_MODES)[number];

export interface Rollout {
  /** `*`: every source that has no rollout of its own. */
  readonly source: string;
  readonly mode: RolloutMode;
  /** Null: the newest there is. */
  readonly version: number | null;
}

/** A contract that events of a source are checked against. */
export interface EnforcedContract {
  readonly eventName: string;
  readonly source: string;
  readonly mode: Exclude<RolloutMode, "off">;
  /** JSON. */
  readonly document: string;
}

/** An event that somebody looks after: a contract of it is rolled out, or says what is expected. */
export interface WatchedContract {
  readonly eventName: string;
  /** Of the newest version; JSON. */
  readonly document: string;
}

export interface ContractRegistryApi {
  /** Safe to repeat. @param text JSON, parsed by whoever asks. @param only whether it would be registered */
  register(text: string, only?: "try"): Promise<RegisterAnswer>;
  /** By event name. */
  list(): Promise<ContractEntry[]>;
  /** Oldest first; empty where there are none. */
  versions(eventName: string): Promise<StoredContract[]>;
  /** For versions from now on. @returns null where the event has no contract. */
  setRules(eventName: string, rules: CompatibilityRules): Promise<ContractEntry | null>;
  /**
   * Takes the place of the source's rollout before. @returns null where the event has no contract, or none of that version;
   * "full": it names `CONTRACT.rollouts` sources; "too_large": all that is enforced would be more than `CONTRACT.enforcedBytes`
   */
  setRollout(eventName: string, rollout: Rollout): Promise<ContractEntry | "full" | "too_large" | null>;
  /** What events are checked against. @param known the revision that is known. @returns null where it is the newest */
  enforced(known: number | null): Promise<{ readonly revision: number; readonly contracts: EnforcedContract[] } | null>;
  /** By event name, those after the one given; `left`: how many come after these. */
  watched(after: string, limit: number): Promise<{ readonly contracts: WatchedContract[]; readonly left: number }>;
}
