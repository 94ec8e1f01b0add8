/** What the JSON of an erasure has: made by the edge, read by the erasures page. Times are ISO 8601; null where there is none. */
import type { JobAction, JobState } from "../durable-objects/replay-desk/api.ts";

export interface ErasureStoreJson {
  readonly store: string;
  readonly state: "waiting" | "erasing" | "verifying" | "confirmed";
  /** What `found` and `removed` count. */
  readonly unit: string | null;
  readonly found: number;
  readonly removed: number;
  readonly replaced: number;
  /** That its last verification found; null before one has ended. */
  readonly traces: number | null;
  readonly statement: string | null;
  /** Failures since it last moved. */
  readonly attempts: number;
  readonly error: string | null;
  readonly retry_at: string | null;
  readonly started_at: string | null;
  readonly confirmed_at: string | null;
}

export interface SubjectCountsJson {
  readonly users: number;
  readonly devices: number;
  readonly emails: number;
}

export interface ErasureJson {
  readonly id: string;
  readonly mode: "erase" | "suppress";
  readonly state: JobState;
  readonly stage: string;
  readonly rules_stage: string | null;
  /** That were asked for. */
  readonly identifiers: number;
  /** That the closure adds, less what is shared. */
  readonly preview: SubjectCountsJson | null;
  /** Confirmed. */
  readonly subjects: SubjectCountsJson | null;
  readonly rule_versions: readonly number[];
  readonly kept_out_since: string | null;
  readonly stores: readonly ErasureStoreJson[];
  readonly due_at: string | null;
  readonly overdue: boolean;
  /** What it waits for, in words; null once it has ended, or while it moves. */
  readonly why: string | null;
  readonly actions: readonly JobAction[];
  readonly attempts: number;
  readonly error: string | null;
  readonly outcome: string | null;
  readonly receipt: string | null;
  readonly requested_at: string;
  readonly confirmed_at: string | null;
  readonly ended_at: string | null;
}

/** The daily look for people who were erased before. */
export interface ErasureCheckJson {
  readonly started_at: string;
  /** Null while it goes on. */
  readonly ended_at: string | null;
  /** Erasures of this round. */
  readonly erasures: number;
  readonly stores: readonly {
    readonly store: string;
    /** Erasures that it has looked for. */
    readonly looked: number;
    readonly traces: number;
    /** Why it could not look. */
    readonly error: string | null;
    readonly at: string;
  }[];
  /** Where something of an erased person was, until a later look finds it gone. */
  readonly found: readonly {
    readonly erasure: string;
    readonly store: string;
    readonly traces: number;
    readonly at: string;
  }[];
}

/** Of all requests. */
export interface ErasuresJson {
  readonly open: number;
  readonly overdue: number;
  /** Null before the first. */
  readonly check: ErasureCheckJson | null;
}

export type SubjectListsJson = Readonly<Record<"user_ids" | "anonymous_ids" | "emails", readonly string[]>>;

/** With whom it is about, while it is a preview. */
export interface ErasurePreviewJson extends ErasureJson {
  readonly asked: SubjectListsJson;
  readonly closure: {
    readonly links: readonly {
      readonly kind: "user" | "device" | "email";
      readonly id: string;
      readonly via: { readonly kind: "user" | "device" | "email"; readonly id: string };
      /** Several people use it: erased only where a confirmation includes it. */
      readonly shared: boolean;
    }[];
    /** False: there are more than were followed. */
    readonly complete: boolean;
  } | null;
}
