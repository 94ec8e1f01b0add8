/** What a job remembers between its slices, as the parts of a driver see and change it: plain JSON in the job's row. */
import type { Settled } from "../../durable-objects/replay-desk/api.ts";
import type { Slice } from "./slice.ts";

export interface Saved<Progress> {
  readonly now: Progress;
  /** Saved with what is saved next. */
  note(change: Partial<Progress>): void;
  /** @param settled counted once, with the change @throws SliceOver where the job is no longer this slice's */
  save(change: Partial<Progress>, settled?: readonly Settled[]): Promise<void>;
}

/** All of it. */
export function savedJob<Progress extends object>(slice: Slice, begun: Progress): Saved<Progress> {
  let now = begun;
  const note = (change: Partial<Progress>) => {
    now = { ...now, ...change };
  };
  return {
    get now() {
      return now;
    },
    note,
    async save(change, settled) {
      note(change);
      await slice.save({ progress: now, ...(settled && { settled }) });
    },
  };
}

/** A part of it, which is there. */
export function savedMember<Name extends string, Part extends object>(
  outer: Saved<{ readonly [name in Name]: Part | null }>,
  name: Name,
): Saved<Part> {
  const changed = (change: Partial<Part>) =>
    ({ [name]: { ...outer.now[name]!, ...change } }) as { readonly [name in Name]: Part };
  return {
    get now() {
      return outer.now[name]!;
    },
    note: (change) => outer.note(changed(change)),
    save: (change, settled) => outer.save(changed(change), settled),
  };
}
