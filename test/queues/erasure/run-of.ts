/** One erasure as its stores see it, for tests of them. */
import type { ErasureRun } from "../../../queues/erasure/erasure-store.ts";
import { packSubjects, type Subject, subjectHasher, subjectMatcher } from "../../../r2-layout/subjects.ts";

export const TEST_KEY = "test-identity-key";

export function runOf(subjects: readonly Subject[], more: Partial<ErasureRun> = {}): ErasureRun {
  const hash = subjectHasher(TEST_KEY);
  const hashes = new Set(subjects.map(hash));
  return {
    id: "erasure-1",
    version: 1,
    versions: [1],
    subjects,
    hashes,
    hash,
    matches: subjectMatcher(packSubjects(hashes), hash),
    raisedAt: 0,
    rules: new Map(),
    places: [],
    calls: { left: 10_000 },
    untilMs: Number.POSITIVE_INFINITY,
    now: Date.now,
    ...more,
  };
}

/** A run of which nobody knows the identifiers any more, as the daily reconciliation has it. */
export const withoutIdentifiers = (run: ErasureRun): ErasureRun => ({ ...run, subjects: [] });

/** What the stores need of R2, in memory. */
export function memoryBucket() {
  const objects = new Map<string, Uint8Array>();
  return {
    objects,
    async get(key: string) {
      const body = objects.get(key);
      return body ? { arrayBuffer: async () => new Uint8Array(body).buffer as ArrayBuffer } : null;
    },
    async put(key: string, body: string | Uint8Array) {
      objects.set(key, typeof body === "string" ? new TextEncoder().encode(body) : body);
    },
    async list({ prefix, startAfter = "", limit }: { prefix: string; startAfter?: string; limit: number }) {
      const keys = [...objects.keys()].filter((key) => key.startsWith(prefix) && key > startAfter).sort();
      return { objects: keys.slice(0, limit).map((key) => ({ key })), truncated: keys.length > limit };
    },
  };
}
