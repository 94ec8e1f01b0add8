/**
 * What an erasure keeps in R2 under `jobs/<id>/` while it is open. Only these objects hold identifiers in clear: nobody can be
 * looked for by a hash in all of the stores. They go before the receipt is written.
 */
import { SUBJECT_KINDS, type Subject } from "../../r2-layout/subjects.ts";

/** As asked for, and who else is the same person, as it was shown. */
export const PREVIEW_OBJECT = "preview.json.gz";
/** Whom somebody has confirmed: written once, by the first to confirm. */
export const SUBJECTS_OBJECT = "subjects.json.gz";
/** Replaced objects, one page a slice of a store: keys and hashes, nobody's name. */
export const REPLACED_PREFIX = "replaced/";

/** `shared`: several people use it, so it is taken only where somebody asks for it by name. */
export interface ClosureLink {
  readonly subject: Subject;
  /** By whom it was found. */
  readonly via: Subject;
  readonly shared: boolean;
}

export interface ErasurePreview {
  readonly asked: readonly Subject[];
  readonly links: readonly ClosureLink[];
  /** Whether the closure was followed to its end. */
  readonly complete: boolean;
}

export interface SubjectCounts {
  readonly users: number;
  readonly devices: number;
  readonly emails: number;
}

export function countSubjects(subjects: readonly Subject[]): SubjectCounts {
  const [users, devices, emails] = SUBJECT_KINDS.map((kind) => subjects.filter((one) => one.kind === kind).length);
  return { users: users!, devices: devices!, emails: emails! };
}

const nameOf = ({ kind, id }: Subject): string => `${kind}\n${id}`;

/** Whoever is asked for and, of the closure, whoever is nobody else's; each once, without the excluded. */
export function confirmedSubjects(
  preview: ErasurePreview,
  excluded: readonly Subject[],
  included: readonly Subject[],
): Subject[] {
  const out = new Set(excluded.map(nameOf));
  const wanted = new Set(included.map(nameOf));
  const linked = preview.links.filter(({ subject, shared }) => !shared || wanted.has(nameOf(subject)));
  const all = [...preview.asked, ...linked.map(({ subject }) => subject)];
  return [...new Map(all.map((subject) => [nameOf(subject), subject])).entries()]
    .filter(([name]) => !out.has(name))
    .map(([, subject]) => subject);
}
