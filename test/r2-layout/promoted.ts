/** Promoted columns for tests: one of each type, in the order of adding. */
import { FIRST_PROMOTED_ID, type PromotedColumn, type PromotedType } from "../../r2-layout/promoted-columns.ts";

export const promotedColumn = (at: number, name: string, type: PromotedType, property = name): PromotedColumn => ({
  name,
  type,
  property,
  doc: `The property ${property}.`,
  fieldId: FIRST_PROMOTED_ID + at,
  schemaVersion: 2 + at,
  addedSeq: 10 + at,
  addedAt: 0,
});

export const ONE_OF_EACH: readonly PromotedColumn[] = [
  promotedColumn(0, "plan", "string"),
  promotedColumn(1, "seats", "long"),
  promotedColumn(2, "score", "double"),
  promotedColumn(3, "trial", "boolean"),
  promotedColumn(4, "renews_at", "timestamp"),
];
