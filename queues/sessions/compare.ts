/**
 * Two builds of the timelines, compared by a sample: of timelines spread over all the lists, what both keep up to the same
 * places in the log. Whom only one of the two builds has is found where that is the one that made the lists.
 */
import type { TimelineCompareApi } from "../../durable-objects/user-timeline/api.ts";
import { DAY_MS, SESSIONS, TIMELINE } from "../../r2-layout/limits.ts";
import { MICROS_PER_MS } from "../../r2-layout/time.ts";
import type { ReplayComparison } from "../replay/target.ts";
import { boundedParallel } from "./bounded-parallel.ts";
import type { NameLists } from "./name-lists.ts";

/** Lists looked into, and how many are looked at to choose them. */
const LISTS = 20;
const LISTS_SEEN = 1_000;

export async function compareTimelines(
  lists: NameLists,
  { upTo, nowMs }: { readonly upTo: Readonly<Record<number, number>>; readonly nowMs: number },
  timelineOf: (name: string, build: "before" | "after") => Pick<TimelineCompareApi, "digest">,
): Promise<ReplayComparison> {
  // A day less than is kept: what is about to expire may be gone in one of the two.
  const since = (nowMs - (TIMELINE.daysKept - 1) * DAY_MS) * MICROS_PER_MS;
  const differences: string[] = [];
  let before = 0;
  let after = 0;
  let differing = 0;
  await boundedParallel(await sample(lists), SESSIONS.callsAtOnce, async (name) => {
    const [old, built] = await Promise.all([
      timelineOf(name, "before").digest(upTo, since),
      timelineOf(name, "after").digest(upTo, since),
    ]);
    if (old.cut || built.cut) return;
    before += old.events;
    after += built.events;
    if (old.hash === built.hash) return;
    differing++;
    const counts =
      old.events === built.events
        ? `${old.events} events, not the same`
        : `${old.events} events live, ${built.events} built`;
    if (differences.length < SESSIONS.differences) differences.push(`timeline ${name.slice(0, 12)}: ${counts}`);
  });
  if (differing > differences.length) differences.push(`and ${differing - differences.length} more`);
  return { identical: differing === 0, before, after, differences };
}

async function sample(lists: NameLists): Promise<Set<string>> {
  const chosen = spread(await lists.keys(null, LISTS_SEEN), LISTS);
  const names = new Set<string>();
  for (const key of chosen) {
    for (const name of spread(await lists.read(key), Math.ceil(SESSIONS.compared / chosen.length))) names.add(name);
  }
  return names;
}

/** Pure. At most `count` of them, evenly spaced, the first among them. */
function spread<T>(items: readonly T[], count: number): T[] {
  const step = Math.max(1, items.length / count);
  return Array.from({ length: Math.min(count, items.length) }, (_, i) => items[Math.floor(i * step)]!);
}
