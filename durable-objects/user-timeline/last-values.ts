/**
 * The newest value of each trait, of some columns and of the properties that are configured (feature-plan.ts): what an online feature store would call the last values. Newest
 * is by event_time, so an older value never overwrites a newer one, whenever it comes; null is no value. Two values of
 * the same time: the greater text wins, because the order of the log must not decide.
 */
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { TIMELINE } from "../../r2-layout/limits.ts";
import { compareNames } from "./bounded-counts.ts";
import type { ChosenProperty } from "./feature-plan.ts";

/** Kept for every subject, under the column's name. */
const COLUMNS = [
  "country",
  "region",
  "city",
  "locale",
  "device_type",
  "os",
  "browser",
  "app_name",
  "app_version",
  "page_path",
  "utm_source",
  "utm_medium",
  "utm_campaign",
] as const satisfies readonly (keyof EventRow)[];

export interface LastValue {
  readonly value: string;
  /** event_time, microseconds. */
  readonly at: number;
}

export type EncodedLastValues = readonly (readonly [name: string, value: string, at: number])[];

/**
 * Traits are named `traits.<name>`, properties `properties.<as>`, so that none can pass for a column. Of traits, beyond `TIMELINE.lastValues` the shortest names
 * are kept, for the reason given in bounded-counts.ts.
 */
export class LastValues {
  readonly #columns = new Map<string, LastValue>();
  readonly #traits = new Map<string, LastValue>();
  readonly #properties = new Map<string, LastValue>();
  readonly #chosen: readonly ChosenProperty[];

  /** A property that is not chosen any more is let go. */
  constructor(encoded: EncodedLastValues = [], chosen: readonly ChosenProperty[] = []) {
    this.#chosen = chosen;
    const names = new Set(chosen.map(({ as }) => propertyName(as)));
    for (const [name, value, at] of encoded) {
      const part = this.#part(name);
      if (part !== this.#properties || names.has(name)) part.set(name, { value, at });
    }
  }

  fold(event: EventRow): void {
    for (const name of COLUMNS) offer(this.#columns, name, event[name], event.event_time);
    if (event.event_type === "group") this.#trait("group_id", event);
    if (event.event_type === "identify") for (const name in event.properties) this.#trait(name, event);
    for (const { property, event: name, as } of this.#chosen) {
      if (name !== null && name !== event.event_name) continue;
      offer(this.#properties, propertyName(as), event.properties?.[property], event.event_time);
    }
  }

  /** By name. */
  entries(): [name: string, value: LastValue][] {
    return [...this.#columns, ...this.#traits, ...this.#properties].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  encode(): EncodedLastValues {
    return this.entries().map(([name, { value, at }]) => [name, value, at]);
  }

  #part(name: string): Map<string, LastValue> {
    if (name.startsWith("traits.")) return this.#traits;
    return name.startsWith(propertyName("")) ? this.#properties : this.#columns;
  }

  #trait(name: string, event: EventRow): void {
    // Not cut: two names that begin alike would become one. The names are in the head row, which has a limit.
    if (name.length > TIMELINE.traitNameChars) return;
    offer(this.#traits, `traits.${name}`, event.properties?.[name], event.event_time);
    if (this.#traits.size <= TIMELINE.lastValues - COLUMNS.length) return;
    this.#traits.delete([...this.#traits.keys()].reduce((a, b) => (compareNames(a, b) > 0 ? a : b)));
  }
}

const propertyName = (as: string): string => `properties.${as}`;

function offer(values: Map<string, LastValue>, name: string, text: string | null | undefined, at: number): void {
  if (text === null || text === undefined) return;
  const value = text.slice(0, TIMELINE.valueChars).toWellFormed();
  const known = values.get(name);
  if (!known || at > known.at || (at === known.at && value > known.value)) values.set(name, { value, at });
}
