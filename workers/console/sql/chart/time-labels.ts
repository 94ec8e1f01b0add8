/** What stands under a chart's time axis: as precise as its steps are wide, in UTC as the rows are. Pure. */

const DAY_S = 86_400;
const MONTH_S = 28 * DAY_S;

/** @param seconds since 1970, rising. @param step seconds from one to the next. A day stands below its first hour. */
export function timeLabels(seconds: readonly number[], step: number): string[] {
  let lastDay = "";
  return seconds.map((at) => {
    const text = new Date(at * 1_000).toISOString();
    const day = text.slice(0, 10);
    if (step >= MONTH_S) return text.slice(0, 7);
    if (step >= DAY_S) return day;
    const clock = step >= 60 ? text.slice(11, 16) : step >= 1 ? text.slice(11, 19) : text.slice(11, 23);
    const isNewDay = day !== lastDay;
    lastDay = day;
    return isNewDay ? `${clock}\n${day}` : clock;
  });
}
