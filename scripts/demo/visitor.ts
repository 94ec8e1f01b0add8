/** Who visits the shop. A visitor keeps their device, place and, once known, their name from visit to visit. */
import { Random } from "./random.ts";
import { ARRIVALS, type Arrival, DEVICES, type Device, PLACES, type Place, rhythm } from "./shop.ts";

export interface Visitor {
  readonly anonymousId: string;
  readonly place: Place;
  readonly device: Device;
  /** The account they sign in to, if they ever do. */
  readonly userId: string;
  /** Of all their visits so far. */
  visits: number;
  signedIn: boolean;
  /** Kept between visits, as shops do. */
  cart: string[];
}

/** Visitors of one place who may come back; the longest known make room. */
const REMEMBERED = 200;
const RETURNING = 0.55;

export class Visitors {
  readonly #seed: number;
  readonly #random: Random;
  readonly #known = new Map<Place, { readonly visitors: Visitor[]; count: number }>();

  constructor(seed: number, random: Random) {
    this.#seed = seed;
    this.#random = random;
  }

  /** Whose turn it is at this time: by the rhythm of each place's own day. */
  next(ms: number): Visitor {
    const random = this.#random;
    const place = random.weighted(PLACES.map((place) => ({ place, weight: place.weight * rhythm(place, ms) }))).place;
    const known = this.#known.get(place) ?? { visitors: [], count: 0 };
    this.#known.set(place, known);
    if (known.visitors.length > 0 && random.chance(RETURNING)) return random.popular(known.visitors);
    const visitor = newVisitor(this.#seed, place, known.count++);
    // A crawler comes alone and buys nothing.
    if (!visitor.device.userAgent.includes("bot")) known.visitors.push(visitor);
    if (known.visitors.length > REMEMBERED) known.visitors.shift();
    return visitor;
  }

  arrival(): Arrival {
    return this.#random.weighted(ARRIVALS);
  }
}

/** The n-th visitor of a place is the same in every run with the same seed: they come back after a restart too. */
function newVisitor(seed: number, place: Place, n: number): Visitor {
  const number = (PLACES.indexOf(place) + 1) * 100_000 + n;
  const random = new Random(Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(number, 0x85ebca6b));
  return {
    anonymousId: uuid(random),
    place,
    device: random.weighted(DEVICES),
    userId: `user-${number}`,
    visits: 0,
    signedIn: false,
    cart: [],
  };
}

export function uuid(random: Random): string {
  const hex = random.hex(32);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
}

/** Visits per unit of time at this moment, against the average of a day. */
export function worldRhythm(ms: number): number {
  const weights = PLACES.reduce((sum, place) => sum + place.weight, 0);
  return PLACES.reduce((sum, place) => sum + place.weight * rhythm(place, ms), 0) / weights;
}
