/** What funnels and sessions need of one visitor's events in their order. */

/**
 * How far somebody came in a funnel: the largest n such that the steps 1 to n happened in this order within `windowUs` of
 * step 1 (ClickHouse's windowFunnel). Steps may have anything between them; each start is tried.
 * @param events `step@microseconds`, by time, blanks between.
 */
export function windowFunnel(events: string, windowUs: number): number {
  /** By step, when the chain that reached it began; the latest start is the one that lasts longest. */
  const starts: number[] = [];
  let deepest = 0;
  for (const event of events.split(" ")) {
    const [step, us] = event.split("@").map(Number) as [number, number];
    if (step === 1) starts[1] = us;
    else {
      const start = starts[step - 1];
      if (start === undefined || us - start > windowUs) continue;
      starts[step] = start;
    }
    deepest = Math.max(deepest, step);
  }
  return deepest;
}

/** How many sessions times make, where more than `gapUs` of silence ends one. @param times microseconds in order, blanks between. */
export function sessionCount(times: string, gapUs: number): number {
  const at = times.split(" ").map(Number);
  return at.reduce((sessions, us, i) => (i > 0 && us - at[i - 1]! > gapUs ? sessions + 1 : sessions), 1);
}
