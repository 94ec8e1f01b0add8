/**
 * Secrets of PII policies, as one isolate of the edge knows them: the salt of the period, and keys of people whose events came lately.
 * An event whose secret cannot be had is not let through as it is, and not lost: its sender is told to send it again.
 */
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import { type PiiKeyApi, saltName, saltPeriod, saltUntil, userKeyName } from "../../../durable-objects/pii-key/api.ts";
import { boundedParallel } from "../../../queues/sessions/bounded-parallel.ts";
import type { Salt, Secrets } from "../../../r2-layout/contracts/pii-policy.ts";
import { INGEST, PII } from "../../../r2-layout/limits.ts";
import type { SubjectHash } from "../../../r2-layout/subjects.ts";
import { within } from "../pressure.ts";

/** What an event's policy asks for. */
export interface Needs {
  /** Milliseconds: the period. Null: no salt. */
  readonly saltAt: number | null;
  /** Null: no key, or nobody whose key it would be. */
  readonly person: SubjectHash | null;
}

type Keys = ObjectNamespace<Pick<PiiKeyApi, "secret">>;

export class PrivacyKeys {
  readonly #objects: () => Keys;
  readonly #now: () => number;
  #salt: Salt | null = null;
  readonly #keys = new Map<SubjectHash, { readonly key: Uint8Array | null; readonly until: number }>();

  /** @param now milliseconds */
  constructor(objects: () => Keys, now: () => number) {
    this.#objects = objects;
    this.#now = now;
  }

  /** @returns null where one of them is not known here. */
  known({ saltAt, person }: Needs): Secrets | null {
    const salt = saltAt === null || this.#salt?.period !== saltPeriod(saltAt) ? null : this.#salt;
    const known = person === null ? { key: null } : this.#current(person);
    return known === null || (saltAt !== null && salt === null) ? null : { salt, key: known.key };
  }

  /** Asks for what is not known; what cannot be had stays unknown. Never throws. */
  async learn(needs: Iterable<Needs>): Promise<void> {
    const periods = new Set<number>();
    const people = new Set<SubjectHash>();
    for (const { saltAt, person } of needs) {
      if (saltAt !== null && this.#salt?.period !== saltPeriod(saltAt)) periods.add(saltPeriod(saltAt));
      if (person !== null && people.size < PII.keysPerRequest && !this.#current(person)) people.add(person);
    }
    try {
      for (const period of periods) await this.#learnSalt(period);
      await boundedParallel(people, INGEST.simultaneousSends, (person) => this.#learnKey(person));
    } catch (error) {
      console.error(JSON.stringify({ at: "privacy", error: String(error) }));
    }
  }

  async #learnSalt(period: number): Promise<void> {
    const bytes = await this.#secret(saltName(period), saltUntil(period));
    if (bytes) this.#salt = { period, bytes };
  }

  async #learnKey(person: SubjectHash): Promise<void> {
    const key = await this.#secret(userKeyName(person), null);
    // The oldest: what this request has just learnt stays.
    if (this.#keys.size >= PII.keysKnown) this.#keys.delete(this.#keys.keys().next().value!);
    this.#keys.set(person, { key, until: this.#now() + PII.keyMs });
  }

  #secret(name: string, untilMs: number | null): Promise<Uint8Array | null> {
    return within(PII.keyWaitMs, "key", this.#objects().getByName(name).secret(untilMs));
  }

  #current(person: SubjectHash): { readonly key: Uint8Array | null } | null {
    const known = this.#keys.get(person);
    return known && known.until > this.#now() ? known : null;
  }
}
