/** Whether a part of a file of events names somebody, by its filters, without its rows. */
import { mayHoldText } from "../../r2-layout/bloom-filter.ts";
import { LAKE_ERASURE } from "../../r2-layout/limits.ts";
import type { Subject } from "../../r2-layout/subjects.ts";
import type { FilePart } from "./file-parts.ts";

/** Properties that name somebody, as `subjectsOf` has it. */
export const NAMING_PROPERTIES = ["email", "previous_id"] as const;

/**
 * Whether the part's Bloom filters and its properties' names say that no row of it names one of them. Filters need the
 * identifiers themselves: of nobody, and of more than `LAKE_ERASURE.filteredSubjects`, every part may have some.
 */
export async function isRuledOut(part: FilePart, subjects: readonly Subject[]): Promise<boolean> {
  if (subjects.length === 0 || subjects.length > LAKE_ERASURE.filteredSubjects) return false;
  const filters = await part.filters();
  if (filters.size === 0) return false;
  const named = (column: string, kind: Subject["kind"]) => {
    const filter = filters.get(column);
    return filter && subjects.some((subject) => subject.kind === kind && mayHoldText(filter, subject.id));
  };
  // A column without a filter has no value in the whole row group.
  if (named("user_id", "user") || named("anonymous_id", "device")) return false;
  return !(await part.mayHaveProperty(NAMING_PROPERTIES));
}
