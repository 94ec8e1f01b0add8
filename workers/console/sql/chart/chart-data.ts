/** The figures of a chart: one list of places, and for each line its values there. Pure. */
import { cellText } from "../csv.ts";
import type { Cell, Row } from "../statement.ts";
import { type Answer, type ChartChoice, columnKinds, LINES_MAX } from "./chart-choice.ts";

export interface ChartLine {
  readonly label: string;
  /** One for each place; null where there is none. */
  readonly values: readonly (number | null)[];
}

export interface ChartData {
  /** Seconds since 1970, numbers, or without a scale the places' own labels. */
  readonly axis: "time" | "number" | "label";
  /** Rising; of labels their numbers. */
  readonly places: readonly number[];
  readonly labels: readonly string[];
  readonly lines: readonly ChartLine[];
  /** What was left out or put together, in words for people. */
  readonly notes: readonly string[];
}

/** Labels beyond these are no chart any more. */
export const LABELS_MAX = 60;

export function chartData(answer: Answer, { x, y, split }: ChartChoice): ChartData {
  const axis = axisOf(answer, x);
  const notes: string[] = [];
  const places = new Places(axis);
  const lines = new Map<string, Map<number, number>>();
  let added = 0;
  let skipped = 0;
  for (const row of answer.rows) {
    const place = places.of(row[x] ?? null);
    if (place === null) {
      skipped++;
      continue;
    }
    for (const column of split === null ? y : y.slice(0, 1)) {
      const value = numberOf(row, column);
      if (value === null) continue;
      const label = split === null ? answer.columns[column]!.name : cellText(row[split] ?? null) || "(none)";
      const line = lines.get(label) ?? new Map<number, number>();
      lines.set(label, line);
      const before = line.get(place);
      if (before !== undefined) added++;
      line.set(place, (before ?? 0) + value);
    }
  }
  if (added > 0) notes.push("Rows of the same place are added up.");
  if (skipped > 0) notes.push(`${skipped} ${skipped === 1 ? "row has" : "rows have"} no place on the axis.`);
  const kept = largest(lines, LINES_MAX);
  if (kept.length < lines.size) notes.push(`The ${kept.length} largest of ${lines.size} are shown.`);
  const all = axis === "label" ? places.numbers : places.numbers.toSorted((a, b) => a - b);
  const shown = axis === "label" ? all.slice(0, LABELS_MAX) : all;
  if (shown.length < all.length) notes.push(`The first ${shown.length} of ${all.length} are shown.`);
  return {
    axis,
    places: shown,
    labels: places.labels.slice(0, shown.length),
    lines: kept.map(([label, values]) => ({ label, values: shown.map((place) => values.get(place) ?? null) })),
    notes,
  };
}

/** One moment or number alone has no scale: it is a label. */
function axisOf(answer: Answer, x: number): ChartData["axis"] {
  const kind = columnKinds(answer)[x];
  if (kind !== "time" && kind !== "number") return "label";
  const first = answer.rows.find((row) => (row[x] ?? null) !== null)?.[x];
  return answer.rows.some((row) => (row[x] ?? null) !== null && row[x] !== first) ? kind : "label";
}

/** Gives each value of the axis its number. */
class Places {
  readonly #axis: ChartData["axis"];
  readonly #known = new Map<string | number, number>();
  readonly labels: string[] = [];

  constructor(axis: ChartData["axis"]) {
    this.#axis = axis;
  }

  get numbers(): number[] {
    return [...this.#known.values()];
  }

  of(value: Cell): number | null {
    if (this.#axis === "label") {
      const label = cellText(value) || "(none)";
      const known = this.#known.get(label);
      if (known !== undefined) return known;
      this.labels.push(label);
      this.#known.set(label, this.labels.length - 1);
      return this.labels.length - 1;
    }
    if (value === null) return null;
    const place = this.#axis === "time" ? Date.parse(String(value)) / 1_000 : Number(value);
    if (!Number.isFinite(place)) return null;
    this.#known.set(place, place);
    return place;
  }
}

function numberOf(row: Row, column: number): number | null {
  const value = row[column] ?? null;
  if (value === null) return null;
  const number = Number(value);
  return Number.isFinite(number) ? number : null;
}

function largest(lines: ReadonlyMap<string, ReadonlyMap<number, number>>, max: number) {
  const weight = (values: ReadonlyMap<number, number>) =>
    values.values().reduce((sum, value) => sum + Math.abs(value), 0);
  if (lines.size <= max) return [...lines];
  const order = [...lines.keys()];
  return [...lines]
    .sort(([, a], [, b]) => weight(b) - weight(a))
    .slice(0, max)
    .sort(([a], [b]) => order.indexOf(a) - order.indexOf(b));
}

/** For bars on top of each other: each line with those before it added. */
export function stacked(lines: readonly ChartLine[]): (number | null)[][] {
  const sums: number[] = [];
  return lines.map(({ values }) =>
    values.map((value, at) => {
      sums[at] = (sums[at] ?? 0) + (value ?? 0);
      return value === null ? null : sums[at];
    }),
  );
}
