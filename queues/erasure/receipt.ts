/** What an erasure leaves: for each store what was found, removed and replaced, when, and how to look for oneself. No name of anybody. */
import type { ErasureSpec, Job } from "../../durable-objects/replay-desk/api.ts";
import { ERASURE } from "../../r2-layout/limits.ts";
import type { SubjectHash } from "../../r2-layout/subjects.ts";
import type { SubjectCounts } from "./erasure-objects.ts";
import type { ErasureProgress } from "./erasure-progress.ts";
import type { ErasureStoreName, Replacement } from "./erasure-store.ts";

export interface ReceiptStore {
  readonly store: ErasureStoreName;
  readonly unit: string | null;
  readonly found: number;
  readonly removed: number;
  readonly confirmed_at: string;
  readonly statement: string;
  readonly replaced: readonly {
    readonly old: string;
    readonly old_sha256: string;
    readonly new: string | null;
    readonly new_sha256: string | null;
    readonly bytes: number;
  }[];
  /** Replaced, and not named above. */
  readonly replaced_beyond: number;
}

export interface ErasureReceipt {
  readonly v: 1;
  readonly id: string;
  readonly mode: ErasureSpec["mode"];
  readonly requested_at: string;
  readonly confirmed_at: string;
  /** From then on no event that names one of the subjects has entered a store. */
  readonly kept_out_since: string;
  readonly completed_at: string;
  readonly rules: {
    readonly versions: readonly number[];
    /** Of each shard's log; what stands above holds none of the subjects. */
    readonly places: readonly { readonly shard: number; readonly seq: number }[];
  };
  readonly subjects: SubjectCounts & {
    /** HMAC-SHA256 by the operator's identity key of kind (user, device, email), a line feed and the identifier; its first 16 bytes. */
    readonly hashes: readonly SubjectHash[];
  };
  readonly stores: readonly ReceiptStore[];
  readonly verify: readonly string[];
  readonly limits: readonly string[];
}

/** What the signature cannot promise, said in the document that it is on. */
export const RECEIPT_LIMITS = [
  "Objects with SQLite that were not erased whole may keep the bytes of a deleted row in free pages of their file until they are written over; no query returns them.",
  "The platform keeps point-in-time recovery of SQLite objects for up to 30 days after completion, and no program can shorten that. A recovery to before completion has to be followed by the same request again.",
  "Sums and counts that do not tell one person from others are kept (docs/erasure.md names them).",
  "Answers of the query service that were computed before completion may be shown from memory for five minutes at most.",
  "Copies that readers have taken out themselves (downloads, other engines over the same files, webhooks) are out of reach.",
] as const;

const VERIFY = [
  "npm run verify-receipt -- <this file> --key <the operator's public key, from GET /v1/erasures/key>",
  "select count(*) from events where user_id = '<id>' or anonymous_id = '<id>' or properties['email'][1] = '<address>' or properties['previous_id'][1] = '<id>'; it gives 0, also with as_of any snapshot or cut",
  "select count(*) from quarantine where user_id = '<id>' or anonymous_id = '<id>'; it gives 0",
  "GET /v1/users/<id>/events and GET /v1/devices/<id>/events; they have no events",
] as const;

export interface ReceiptParts {
  readonly job: Job;
  readonly progress: ErasureProgress;
  readonly hashes: Iterable<SubjectHash>;
  readonly replaced: ReadonlyMap<ErasureStoreName, readonly Replacement[]>;
  /** In their order; none of a suppression, which takes nothing out. */
  readonly stores: readonly ErasureStoreName[];
  readonly nowMs: number;
}

export function erasureReceipt({ job, progress, hashes, replaced, stores, nowMs }: ReceiptParts): ErasureReceipt {
  const { rules, raisedAt, subjects } = progress;
  const { mode } = job.spec as ErasureSpec;
  return {
    v: 1,
    id: job.id,
    mode,
    requested_at: iso(job.createdAt),
    confirmed_at: iso(job.startedAt!),
    kept_out_since: iso(raisedAt!),
    completed_at: iso(nowMs),
    rules: { versions: rules!.versions, places: rules!.places.map((seq, shard) => ({ shard, seq })) },
    subjects: { ...subjects!, hashes: [...hashes].sort() },
    stores: stores.map((store) => receiptStore(store, progress, replaced.get(store) ?? [])),
    verify: mode === "erase" ? VERIFY : VERIFY.slice(0, 1),
    limits:
      mode === "erase"
        ? RECEIPT_LIMITS
        : ["A suppression takes nothing out: what was stored before it is still there."],
  };
}

function receiptStore(store: ErasureStoreName, { stores }: ErasureProgress, all: readonly Replacement[]): ReceiptStore {
  const { unit, found, removed, replaced, confirmedAt, statement } = stores[store];
  const listed = [...new Map(all.map((one) => [one.old, one])).values()]
    .sort((one, other) => (one.old < other.old ? -1 : 1))
    .slice(0, ERASURE.replacementsListed);
  return {
    store,
    unit,
    found,
    removed,
    confirmed_at: iso(confirmedAt!),
    statement: statement!,
    replaced: listed.map((one) => ({
      old: one.old,
      old_sha256: one.oldSha256,
      new: one.new,
      new_sha256: one.newSha256,
      bytes: one.bytes,
    })),
    replaced_beyond: Math.max(0, replaced - listed.length),
  };
}

const iso = (ms: number): string => new Date(ms).toISOString();
