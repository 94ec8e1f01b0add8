/** What tiles' points are, added up the plain way from all events at once: no caps, no sketches, no rows. */
import type { TilePoint } from "../../../durable-objects/tile-rollup/api.ts";
import {
  levelMs,
  type TileDefinition,
  type TileFilter,
  type TileLevel,
} from "../../../durable-objects/tile-rollup/definition.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";

/** `start key value`, in order; values of nothing are left out. */
export type PlainPoints = readonly string[];

export function plainPoints(
  definition: TileDefinition,
  level: TileLevel,
  events: readonly Partial<EventRow>[],
): PlainPoints {
  const groups = Map.groupBy(
    events.filter((event) => fits(event, definition.filter)),
    (event) => {
      const start = Math.floor(event.event_time! / 1_000 / levelMs(level)) * levelMs(level);
      const key = Object.fromEntries(definition.by.map((field) => [field, String(fieldOf(event, field) ?? "(none)")]));
      return `${new Date(start).toISOString()} ${JSON.stringify(key)}`;
    },
  );
  return [...groups]
    .flatMap(([name, group]) => {
      const value = measured(definition, group);
      return value === undefined ? [] : [`${name} ${value}`];
    })
    .sort();
}

/** Rows that a correction has emptied stay, and say so. */
export const shownPoints = (points: readonly TilePoint[]): PlainPoints =>
  points.map(({ start, key, value }) => `${start} ${JSON.stringify(key)} ${value}`).sort();

function measured({ measure, field, numerator, denominator }: TileDefinition, events: readonly Partial<EventRow>[]) {
  switch (measure) {
    case "count":
      return events.length;
    case "sum": {
      const numbers = events.flatMap((event) => {
        const value = fieldOf(event, field!);
        return value === null || value === "" || !Number.isFinite(Number(value)) ? [] : [Number(value)];
      });
      return numbers.length === 0
        ? undefined
        : numbers.reduce((sum, number) => sum + Math.round(number * 1e6), 0) / 1e6;
    }
    case "distinct": {
      const values = new Set(events.map((event) => fieldOf(event, field!)).filter((value) => value !== null));
      return values.size || undefined;
    }
    case "ratio": {
      const above = events.filter((event) => fits(event, numerator!)).length;
      const below = events.filter((event) => fits(event, denominator!)).length;
      if (above + below === 0) return undefined;
      return below === 0 ? null : above / below;
    }
    case "funnel":
      throw new Error("not here");
  }
}

const fits = (event: Partial<EventRow>, filter: TileFilter): boolean =>
  Object.entries(filter).every(([field, values]) => (values as readonly unknown[]).includes(fieldOf(event, field)));

function fieldOf(event: Partial<EventRow>, field: string): unknown {
  if (field.startsWith("properties.")) return event.properties?.[field.slice("properties.".length)] ?? null;
  return event[field as keyof EventRow] ?? null;
}
