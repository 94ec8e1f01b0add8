/** The bodies of /v1/erasures: identifiers, as the columns have them. Pure. */
import type { ErasureSpec } from "../../../durable-objects/replay-desk/api.ts";
import { normalizeEmail } from "../../../r2-layout/email.ts";
import { ERASURE, REPLAY } from "../../../r2-layout/limits.ts";
import type { Subject, SubjectKind } from "../../../r2-layout/subjects.ts";
import { type JsonMembers, members } from "../json-body.ts";
import { badParameter } from "../parameters.ts";

const LISTS = { user_ids: "user", anonymous_ids: "device", emails: "email" } as const satisfies Record<
  string,
  SubjectKind
>;
type ListName = keyof typeof LISTS;
const LIST_NAMES = Object.keys(LISTS) as ListName[];

export const ERASURE_MEMBERS = [...LIST_NAMES, "mode"];
export const CONFIRM_MEMBERS = ["exclude", "include"];

export interface ErasureRequest {
  readonly mode: ErasureSpec["mode"];
  readonly subjects: readonly Subject[];
}

/** @throws Refused */
export function erasureRequest(body: JsonMembers): ErasureRequest {
  const { mode = "erase" } = body;
  if (mode !== "erase" && mode !== "suppress") throw badParameter("mode", "erase or suppress");
  const subjects = subjectLists(body, "");
  if (subjects.length === 0) throw badParameter("user_ids", `at least one identifier in ${LIST_NAMES.join(", ")}`);
  return { mode, subjects };
}

export const erasureSpec = ({ mode, subjects }: ErasureRequest): ErasureSpec => ({
  kind: "erasure",
  mode,
  identifiers: subjects.length,
  rate: REPLAY.rate,
});

/** Of a confirmation: whom to leave out of the closure or the request, and which shared ones to take. @throws Refused */
export function confirmation(body: JsonMembers): { readonly exclude: Subject[]; readonly include: Subject[] } {
  const listed = (name: string) =>
    body[name] === undefined ? [] : subjectLists(members(body[name], LIST_NAMES, name), `${name}.`);
  return { exclude: listed("exclude"), include: listed("include") };
}

/** Each once. @throws Refused */
function subjectLists(body: JsonMembers, path: string): Subject[] {
  const subjects = new Map<string, Subject>();
  for (const name of LIST_NAMES) {
    const list = body[name] ?? [];
    if (!Array.isArray(list)) throw badParameter(path + name, "a list of texts");
    for (const [at, given] of list.entries()) {
      const id = identifier(given, LISTS[name]);
      if (id === null) {
        const what = LISTS[name] === "email" ? "an e-mail address" : `a text of 1 to ${ERASURE.identifierBytes} bytes`;
        throw badParameter(`${path}${name}[${at}]`, what);
      }
      subjects.set(`${LISTS[name]}\n${id}`, { kind: LISTS[name], id });
      if (subjects.size > ERASURE.identifiers) {
        throw badParameter(path + name, `at most ${ERASURE.identifiers} identifiers in one request`);
      }
    }
  }
  return [...subjects.values()];
}

function identifier(given: unknown, kind: SubjectKind): string | null {
  if (typeof given !== "string" || given === "") return null;
  const id = kind === "email" ? normalizeEmail(given) : given;
  return id && Buffer.byteLength(id) <= ERASURE.identifierBytes ? id : null;
}

/** As the API shows subjects: the same lists as in a request. */
export function listed(subjects: readonly Subject[]): Record<ListName, string[]> {
  return Object.fromEntries(
    LIST_NAMES.map((name) => [name, subjects.flatMap(({ kind, id }) => (kind === LISTS[name] ? [id] : []))]),
  ) as Record<ListName, string[]>;
}
