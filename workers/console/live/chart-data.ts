/** What a chart draws: bars of one value, or a line for each of the largest. Pure. */
import type { Figures } from "./figures.ts";
import { type Bucket, buckets, keyText, ranked } from "./points.ts";

/** Lines that can be told from each other. */
export const LINES = 6;

export interface Line {
  /** Its key, as text. */
  readonly text: string;
  readonly places: readonly Bucket[];
}

/** One where nothing is told apart, else one for each of the largest values. Its places are the figures' starts. */
export function linesOf({ points, starts, fields }: Figures, by: readonly string[]): Line[] {
  if (by.length === 0) return [{ text: "", places: buckets(points, starts) }];
  // Which are the largest is a matter of the sum even of what does not add up: it is an order, not a figure.
  const largest = ranked(points, by.length > 0 ? by : fields).slice(0, LINES);
  return largest.map(({ text }) => ({
    text,
    places: buckets(
      points.filter(({ key }) => keyText(key, by) === text),
      starts,
    ),
  }));
}

/** Per second instead of per start; what is still running has not had its time. @param now by the server's clock */
export function perSecond(lines: readonly Line[], grainMs: number, now: number): Line[] {
  return lines.map(({ text, places }) => ({
    text,
    places: places.map((place) => {
      const ms = Math.max(grainMs / 12, Math.min(grainMs, now - place.start));
      return { ...place, value: place.value === null ? null : place.value / (ms / 1_000) };
    }),
  }));
}

/** Start, then for each line: what is final, what may still change, what was changed. */
export function columnsOf(lines: readonly Line[], starts: readonly number[]): (number | null)[][] {
  const isBars = lines.length === 1 && lines[0]!.text === "";
  return [
    starts.map((start) => start / 1_000),
    ...lines.flatMap(({ places }) => {
      // A line goes on through starts without an event; a bar of none is not there.
      const value = ({ value }: Bucket) => value ?? (isBars ? null : 0);
      const isFinal = (place: Bucket | undefined) => place !== undefined && place.state !== "provisional";
      const final = places.map((place) => (isFinal(place) ? value(place) : null));
      // A dashed line begins where the whole one ends.
      const growing = places.map((place, i) =>
        !isFinal(place) || (!isBars && i + 1 < places.length && !isFinal(places[i + 1])) ? value(place) : null,
      );
      return [final, growing, places.map((place) => (place.version > 1 ? value(place) : null))];
    }),
  ];
}
