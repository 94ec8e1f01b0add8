/** Events -> what each minute gained. Pure: the sink calls it, and hands the result to a MinuteRollup. */
import { EVENT_COLUMNS, type EventRow } from "../../r2-layout/event-columns.ts";
import { MINUTE_MS } from "../../r2-layout/limits.ts";
import { MICROS_PER_MS } from "../../r2-layout/time.ts";
import { DIMENSIONS, type Dimension, type MicroUnits, type MinuteDelta, NO_VALUE, type ValueDelta } from "./api.ts";
import { addUser, emptySketch, encodeSketch, type UserSketch } from "./user-sketch.ts";

/** The columns of an event that a rollup looks at. */
export type RolledEvent = Pick<
  EventRow,
  "event_time" | "user_id" | "anonymous_id" | "revenue" | "currency" | "log_seq" | Dimension
>;

const MAY_BE_NULL = DIMENSIONS.map((dimension) => !EVENT_COLUMNS[dimension].required);
const MINUTE_US = MINUTE_MS * MICROS_PER_MS;
const MICROS_PER_UNIT = 1_000_000;
/** A larger amount is no money, and would poison the sum of its day. */
const UNITS_MAX = 1e15;

/** One delta for each minute of event_time, oldest first. The events' order and their cut into steps do not matter. */
export function minuteDeltas(events: Iterable<RolledEvent>): MinuteDelta[] {
  const minutes = new Map<number, GrowingMinute>();
  for (const event of events) {
    const minute = Math.floor(event.event_time / MINUTE_US) * MINUTE_MS;
    let growing = minutes.get(minute);
    if (!growing) {
      growing = new GrowingMinute();
      minutes.set(minute, growing);
    }
    growing.add(event);
  }
  return [...minutes].sort(([one], [other]) => one - other).map(([minute, growing]) => growing.delta(minute));
}

/** Millionths of a unit, or null where the amount is missing, not finite or absurd: such an event is counted without. */
export function microUnits(amount: number | null | undefined): MicroUnits | null {
  if (typeof amount !== "number" || !(Math.abs(amount) <= UNITS_MAX)) return null;
  return BigInt(Math.round(amount * MICROS_PER_UNIT));
}

interface GrowingValue {
  events: number;
  revenue: Map<string, MicroUnits> | null;
}

class GrowingMinute {
  #events = 0;
  readonly #revenue = new Map<string, MicroUnits>();
  readonly #by = DIMENSIONS.map(() => new Map<string, GrowingValue>());
  readonly #users: UserSketch = emptySketch();
  #isPlain = true;

  add(event: RolledEvent): void {
    this.#events++;
    const micro = microUnits(event.revenue);
    const currency = event.currency ?? "";
    if (micro !== null) addTo(this.#revenue, currency, micro);
    for (let d = 0; d < DIMENSIONS.length; d++) {
      const values = this.#by[d]!;
      const given = event[DIMENSIONS[d]!];
      if (given === NO_VALUE && MAY_BE_NULL[d]) this.#isPlain = false;
      const key = given ?? NO_VALUE;
      let value = values.get(key);
      if (!value) {
        value = { events: 0, revenue: null };
        values.set(key, value);
      }
      value.events++;
      if (micro !== null) {
        value.revenue ??= new Map();
        addTo(value.revenue, currency, micro);
      }
    }
    const user = event.user_id ?? event.anonymous_id;
    if (user != null) addUser(this.#users, user);
  }

  delta(minute: number): MinuteDelta {
    const by = {} as Record<Dimension, ValueDelta[]>;
    for (const [d, dimension] of DIMENSIONS.entries()) {
      by[dimension] = [...this.#by[d]!].map(([key, { events, revenue }]) =>
        revenue ? [key, events, [...revenue]] : [key, events],
      );
    }
    const { events, revenue } = { events: this.#events, revenue: [...this.#revenue] };
    const users = encodeSketch(this.#users);
    return { minute, events, revenue, by, users, ...(this.#isPlain && this.#isTextOfTheLake() && { plain: true }) };
  }

  /** What is no Unicode is another text in a file, and what has a zero in it may end there. */
  #isTextOfTheLake(): boolean {
    return this.#by.every((values) => values.keys().every((key) => key.isWellFormed() && !key.includes("\0")));
  }
}

function addTo(sums: Map<string, MicroUnits>, currency: string, micro: MicroUnits): void {
  sums.set(currency, (sums.get(currency) ?? 0n) + micro);
}
