/**
 * People's own keys: what was encrypted under one cannot be read any more once it is destroyed, wherever a copy may be. An edge that has
 * asked for it lately uses it for `PII.keyMs` more; what it encrypts so is kept out of the log by the erasure's rule.
 */
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import { type PiiKeyApi, userKeyName } from "../../../durable-objects/pii-key/api.ts";
import { PII } from "../../../r2-layout/limits.ts";
import type { SubjectHash } from "../../../r2-layout/subjects.ts";
import { boundedParallel } from "../../sessions/bounded-parallel.ts";
import type { ErasureRun, ErasureStore } from "../erasure-store.ts";

export interface KeysStoreDeps {
  readonly keys: ObjectNamespace<Pick<PiiKeyApi, "peek" | "destroy">>;
}

/** How many people have been seen to, and of those of a verification how many still have a key. */
interface Position {
  readonly next: number;
  readonly traces: number;
}

const UNIT = "keys";

export function keysStore({ keys }: KeysStoreDeps): ErasureStore {
  const keyOf = (person: SubjectHash) => keys.getByName(userKeyName(person));
  return {
    name: "keys",
    async erase(run, position) {
      let found = 0;
      const { next, done } = await eachOf(run, placeOf(position).next, async (person) => {
        if (await keyOf(person).destroy(run.version)) found++;
      });
      return { done, position: { next, traces: 0 }, found: { unit: UNIT, found, removed: found, replaced: [] } };
    },
    async verify(run, position) {
      let { next, traces } = placeOf(position);
      const slice = await eachOf(run, next, async (person) => {
        if ((await keyOf(person).peek()) !== null) traces++;
      });
      next = slice.next;
      const statement = `${next} people's keys were asked for, and ${traces} are there: POST /v1/pii/reveal answers not_found for the others.`;
      return { done: slice.done, position: { next, traces }, traces, statement };
    },
  };
}

/** A page after the other until time is over; the first always. */
async function eachOf(
  run: ErasureRun,
  from: number,
  work: (person: SubjectHash) => Promise<void>,
): Promise<{ next: number; done: boolean }> {
  // Of an erasure of the past only the hashes are known, an address's among them, which names no key.
  const known = run.subjects.filter(({ kind }) => kind !== "email").map(run.hash);
  const people = run.subjects.length === 0 ? [...run.hashes] : known;
  let next = from;
  while (next < people.length) {
    const page = people.slice(next, next + PII.keysAtOnce);
    if (next > from && run.calls.left < page.length) break;
    run.calls.left -= page.length;
    await boundedParallel(page, PII.keysParallel, work);
    next += page.length;
    if (run.now() >= run.untilMs) break;
  }
  return { next, done: next >= people.length };
}

const placeOf = (position: unknown): Position => (position as Position | null) ?? { next: 0, traces: 0 };
