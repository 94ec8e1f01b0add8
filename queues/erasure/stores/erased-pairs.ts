/**
 * The events that an erasure took out, as its rule job has found them (`jobs/<id>/pairs/`): who stood beside the subjects in
 * them. That is whose timelines and addresses may still name them.
 */
import { emailOf } from "../../../durable-objects/user-timeline/email-trait.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { type Subject, subjectsOf } from "../../../r2-layout/subjects.ts";
import { type JobBucket, JobStore } from "../../replay/job-store.ts";
import type { ChangedRow } from "../../replay/rule-parts.ts";
import type { ErasureRun } from "../erasure-store.ts";

export type Owner = Subject & { readonly kind: "user" | "device" };

/** One page of them. */
export interface ErasedPage {
  readonly name: string;
  readonly events: readonly EventRow[];
}

export class ErasedPairs {
  readonly #run: ErasureRun;
  readonly #store: JobStore;

  constructor(run: ErasureRun, bucket: JobBucket) {
    this.#run = run;
    this.#store = new JobStore(bucket, run.id);
  }

  /** The page after the one of this name; null at the end. */
  async next(after: string | null): Promise<ErasedPage | null> {
    const [name] = await this.#store.names("pairs/", after, 1);
    if (name === undefined) return null;
    const pairs = await this.#store.get<readonly ChangedRow[]>(name);
    return { name, events: pairs.map(({ before }) => before).filter((row) => this.#run.matches(row)) };
  }
}

/** Whose timelines may name which subjects by these events; the subjects' own are not among them. */
export function bystandersOf(
  events: readonly EventRow[],
  isErased: (subject: Subject) => boolean,
): { readonly owner: Owner; readonly subjects: readonly Subject[] }[] {
  const found = new Map<string, { owner: Owner; subjects: Map<string, Subject> }>();
  for (const event of events) {
    const named = subjectsOf(event);
    const erased = named.filter(isErased);
    for (const owner of named.filter(isOwner)) {
      if (isErased(owner)) continue;
      const key = `${owner.kind}\n${owner.id}`;
      const known = found.get(key) ?? { owner, subjects: new Map() };
      for (const subject of erased) known.subjects.set(`${subject.kind}\n${subject.id}`, subject);
      found.set(key, known);
    }
  }
  return Array.from(found.values(), ({ owner, subjects }) => ({ owner, subjects: [...subjects.values()] }));
}

/** Which subjects these events have told the index of, under which address. */
export function indexedBy(events: readonly EventRow[]): { readonly owner: Owner; readonly email: string }[] {
  return events.flatMap((event) => {
    const email = emailOf(event);
    const owner = subjectsOf(event).find(isOwner);
    return email && owner ? [{ owner, email }] : [];
  });
}

export const isOwner = (subject: Subject): subject is Owner => subject.kind !== "email";
