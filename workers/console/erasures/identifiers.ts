/** Identifiers as somebody pastes them: one a line. What the edge would refuse is said while it is typed, by its line. */
import { ERASURE } from "../../../r2-layout/limits.ts";

export const LISTS = {
  user_ids: { label: "User ids", one: "user", many: "users", kind: "user" },
  anonymous_ids: { label: "Device ids (anonymous_id)", one: "device", many: "devices", kind: "device" },
  emails: { label: "E-mail addresses", one: "e-mail address", many: "e-mail addresses", kind: "email" },
} as const;
export type ListName = keyof typeof LISTS;
export const LIST_NAMES = Object.keys(LISTS) as ListName[];
export type Texts = Readonly<Record<ListName, string>>;

export const NO_TEXTS: Texts = { user_ids: "", anonymous_ids: "", emails: "" };

export interface Identifiers {
  readonly lists: Readonly<Record<ListName, readonly string[]>>;
  readonly count: number;
  /** Lines that say again what another has said. */
  readonly repeated: number;
  /** The first thing that is wrong, null where it can be sent. */
  readonly fault: { readonly list: ListName | null; readonly text: string } | null;
}

export function identifiersOf(texts: Texts): Identifiers {
  const lists: Record<ListName, string[]> = { user_ids: [], anonymous_ids: [], emails: [] };
  let repeated = 0;
  let fault: Identifiers["fault"] = null;
  for (const name of LIST_NAMES) {
    const seen = new Set<string>();
    for (const [at, line] of texts[name].split(/\r?\n/).entries()) {
      const id = name === "emails" ? line.trim().toLowerCase() : line.trim();
      if (id === "") continue;
      const wrong = wrongWith(id, name);
      if (wrong !== null) fault ??= { list: name, text: `Line ${at + 1} of ${LISTS[name].label}: ${wrong}.` };
      if (seen.has(id)) repeated++;
      seen.add(id);
    }
    lists[name] = [...seen];
  }
  const count = LIST_NAMES.reduce((sum, name) => sum + lists[name].length, 0);
  if (count > ERASURE.identifiers) {
    fault ??= { list: null, text: `These are ${count} identifiers; one request has at most ${ERASURE.identifiers}.` };
  }
  return { lists, count, repeated, fault };
}

function wrongWith(id: string, list: ListName): string | null {
  const bytes = new TextEncoder().encode(id).length;
  if (bytes > ERASURE.identifierBytes) return `it has ${bytes} bytes, and at most ${ERASURE.identifierBytes} are kept`;
  if (list === "emails" && !/^[^\s@]+@[^\s@]+$/.test(id)) return "that is no e-mail address";
  return null;
}
