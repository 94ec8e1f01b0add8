/** Events -> what each start of each tile gained. Pure: the sink calls it, and hands the result to a TileRollup. */
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { TILES } from "../../r2-layout/limits.ts";
import { fieldValue, type RuleField, type RuleValue, ruleMatcher } from "../../r2-layout/rule.ts";
import { MICROS_PER_MS } from "../../r2-layout/time.ts";
import { cutUtf8 } from "../../r2-layout/utf8.ts";
import { NO_VALUE } from "../minute-rollup/api.ts";
import { microUnits } from "../minute-rollup/minute-delta.ts";
import { murmur3 } from "../minute-rollup/murmur3.ts";
import { addUser, emptySketch } from "../minute-rollup/user-sketch.ts";
import type { TileDelta } from "./api.ts";
import { levelMs, type TileDefinition, type TileFilter } from "./definition.ts";
import { addTime, type Cell, capTile, cellOf, emptyTile, encodeTile, type TileState } from "./tile-state.ts";

/** Ready to be asked for each event. */
export interface CompiledTile {
  readonly id: string;
  readonly add: (event: EventRow, starts: Map<number, TileState>) => void;
}

export function compileTile(definition: TileDefinition): CompiledTile {
  const { id, by, grainMinutes } = definition;
  const counts = measureOf(definition);
  const isIn = matcherOf(definition.filter);
  const lengthMs = levelMs(grainMinutes);
  const keyOf = keyReader(by);
  return {
    id,
    add(event, starts) {
      if (!isIn(event)) return;
      const ms = Math.floor(event.event_time / MICROS_PER_MS);
      const start = Math.floor(ms / lengthMs) * lengthMs;
      counts(event, ms - start, (key) => {
        let state = starts.get(start);
        if (!state) {
          state = emptyTile();
          starts.set(start, state);
        }
        return cellOf(state, key ?? keyOf(event));
      });
    },
  };
}

/** By tile, then oldest first. */
export function tileDeltas(tiles: readonly CompiledTile[], events: readonly EventRow[]): TileDelta[] {
  return tiles.flatMap(({ id, add }) => {
    const starts = new Map<number, TileState>();
    for (const event of events) add(event, starts);
    return [...starts]
      .sort(([one], [other]) => one - other)
      .map(([start, state]) => {
        capTile(state);
        return { tile: id, start, state: encodeTile(state) };
      });
  });
}

/** @param cell the cell of a key, of the event's dimensions where none is given; not asked for where the event counts nothing */
type Counts = (event: EventRow, offsetMs: number, cell: (key?: string) => Cell) => void;

function measureOf({ measure, field, numerator, denominator, steps }: TileDefinition): Counts {
  switch (measure) {
    case "count":
      return (_, __, cell) => {
        cell().events++;
      };
    case "sum":
      return (event, _, cell) => {
        const micro = microUnits(numberOf(fieldValue(event, field!)));
        if (micro === null) return;
        const into = cell();
        into.events++;
        into.micro += micro;
      };
    case "distinct":
      return (event, _, cell) => {
        const value = fieldValue(event, field!) as RuleValue;
        if (value === null) return;
        const into = cell();
        into.events++;
        into.users ??= emptySketch();
        addUser(into.users, String(value));
      };
    case "ratio": {
      const [isAbove, isBelow] = [matcherOf(numerator!), matcherOf(denominator!)];
      return (event, _, cell) => {
        const [above, below] = [isAbove(event), isBelow(event)];
        if (!above && !below) return;
        const into = cell();
        if (above) into.events++;
        if (below) into.denominator++;
      };
    }
    case "funnel":
      return (event, offsetMs, cell) => {
        const step = steps!.indexOf(event.event_name);
        const who = event.anonymous_id ?? event.user_id;
        if (step < 0 || who == null) return;
        const into = cell(userHash(who));
        into.events++;
        into.times ??= new Array<number>(2 * steps!.length).fill(-1);
        addTime(into.times, step, offsetMs);
      };
  }
}

const matcherOf = (where: TileFilter): ((event: EventRow) => boolean) =>
  Object.keys(where).length === 0 ? () => true : ruleMatcher({ where });

/** A property's text is a number as JSON writes it. */
function numberOf(value: unknown): number | null {
  if (typeof value === "number") return value;
  if (typeof value !== "string" || value.trim() === "") return null;
  const number = Number(value);
  return Number.isFinite(number) ? number : null;
}

function keyReader(by: readonly RuleField[]): (event: EventRow) => string {
  if (by.length === 0) return () => "[]";
  return (event) =>
    JSON.stringify(
      by.map((field) => {
        const value = fieldValue(event, field);
        return value === null ? NO_VALUE : cutUtf8(String(value), TILES.keyBytes);
      }),
    );
}

const utf8 = new TextEncoder();
const words = new Uint32Array(4);

/** 64 bits, hexadecimal: of a fixed length, so that texts order as numbers do. */
export function userHash(id: string): string {
  const bytes = utf8.encode(id);
  murmur3(bytes, bytes.length, 0, words);
  return words[0]!.toString(16).padStart(8, "0") + words[1]!.toString(16).padStart(8, "0");
}
