/** Whether an error would come again however often the same is tried: then a job gives up in the end, else never. */
import { RowsExpired } from "../lake/read-rows.ts";
import { SegmentDamaged } from "../read-log.ts";
import { isRefusal } from "../refusal.ts";

/** A segment that cannot be read is no hole here: the live sink has it, or the job would build less than there was. A rule
 *  in the end leaves it out (uncorrected.ts). */
export const isLasting = (error: unknown): boolean =>
  error instanceof SegmentDamaged || error instanceof RowsExpired || isRefusal(error);
