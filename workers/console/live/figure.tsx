/** One number and where it has been: the sum of the time that is shown, or what it is right now. */
import type { Figures } from "./figures.ts";
import { eventRate, type LiveState } from "./minutes.ts";
import { type Bucket, buckets, keyText, type Point, ranked, total } from "./points.ts";
import { runningText, sinceText } from "./titles.ts";
import { labelText, type Shown, valueText } from "./values.ts";

interface FigureProps {
  figures: Figures;
  unit: Shown;
  /** For the rate of this moment; null where it is not of all events. */
  minutes: LiveState | null;
  now: number;
  serverNow: number;
}

export function Figure({ figures, unit, minutes, now, serverNow }: FigureProps) {
  const { points, starts, grainMs, additive } = figures;
  const places = buckets(points, starts);
  const key = points.find((point) => point.key.currency !== undefined)?.key;
  const [main, ...lines] = additive ? summed() : current();
  return (
    <>
      <p class="figure">{main}</p>
      <p class="quiet">{lines.filter((line) => line !== "").join(" · ") || "\u00a0"}</p>
      <Spark places={places} />
    </>
  );

  function summed(): string[] {
    const running = places.at(-1)?.value ?? 0;
    const mark = places.some(({ approximate }) => approximate) ? "≈ " : "";
    if (unit !== "rate") {
      // Of no amount nobody knows the currency.
      if (points.length === 0 && unit === "money") return ["–", `nothing ${runningText(grainMs)}`];
      const here = `${valueText(unit, running, key)} ${runningText(grainMs)}`;
      return [`${mark}${valueText(unit, total(points), key)}`, here];
    }
    const seconds = grainMs / 1_000;
    const peak = Math.max(0, ...places.map(({ value }) => value ?? 0));
    const hadMs = Math.max(grainMs / 12, Math.min(grainMs, serverNow - starts.at(-1)!));
    const perSecond = minutes ? eventRate(minutes, now) : running / (hadMs / 1_000);
    const most = Math.max(perSecond, peak / seconds);
    return [`${mark}${valueText("rate", perSecond)}`, `${valueText("rate", most)} at most`];
  }

  /** What does not add up: the newest value, and the whole of a longer time. */
  function current(): string[] {
    const newest = points.filter(({ start, value }) => start === starts.at(-1) && value !== null);
    const before = points.filter(({ start, value }) => start === starts.at(-2) && value !== null);
    const [point] = largest(newest.length > 0 ? newest : before);
    const { whole } = figures;
    const [wholePoint] = largest(whole?.points ?? []);
    const label = point ? labelText(keyText(point.key, figures.fields), figures.fields) : "";
    // A ratio of few is no figure to look at: the longer time's stands first.
    if (unit === "share" && wholePoint) {
      const running = `${valueText(unit, point?.value ?? null)} ${runningText(grainMs)}`;
      return [valueText(unit, wholePoint.value), label, `since ${sinceText(whole!.since, grainMs)}`, running];
    }
    return [
      valueText(unit, point?.value ?? (unit === "count" ? 0 : null)),
      label,
      whole && wholePoint ? `${valueText(unit, wholePoint.value)} since ${sinceText(whole.since, grainMs)}` : "",
    ];
  }

  function largest(of: readonly Point[]): Point[] {
    const [first] = ranked(of, figures.fields);
    return first ? of.filter(({ key: one }) => keyText(one, figures.fields) === first.text) : of.slice(0, 1);
  }
}

const WIDTH = 120;
const HEIGHT = 28;

/** Where the number has been: a line without axes, its running end dotted. Said in words by the tile's chart, so not read aloud. */
function Spark({ places }: { places: readonly Bucket[] }) {
  const highest = Math.max(...places.map(({ value }) => value ?? 0));
  if (!(highest > 0)) return <div class="spark" />;
  const step = WIDTH / Math.max(1, places.length - 1);
  const at = (i: number) =>
    `${(i * step).toFixed(1)},${(HEIGHT - 2 - ((HEIGHT - 4) * (places[i]!.value ?? 0)) / highest).toFixed(1)}`;
  const whole = places.map((_, i) => at(i)).slice(0, -1);
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <polyline points={whole.join(" ")} />
      {places.length > 1 && <polyline class="running" points={`${whole.at(-1)} ${at(places.length - 1)}`} />}
    </svg>
  );
}
