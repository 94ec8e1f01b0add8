/** What the demo's shop sells, where its visitors live and what they hold in their hands. */

export interface Product {
  readonly product_id: string;
  readonly name: string;
  readonly category: string;
  readonly price: number;
}

export const SHOP = { origin: "https://shop.example", name: "Pile & Sons", currency: "EUR" } as const;

const RANGE: Readonly<Record<string, readonly (readonly [name: string, price: number])[]>> = {
  shoes: [
    ["Trail Runner", 119],
    ["Canvas Sneaker", 59],
    ["Winter Boot", 149],
    ["House Slipper", 29],
    ["City Loafer", 99],
  ],
  bags: [
    ["Day Pack", 79],
    ["Weekender", 139],
    ["Tote", 25],
    ["Laptop Sleeve", 39],
  ],
  outdoor: [
    ["Rain Shell", 159],
    ["Fleece", 69],
    ["Two-Person Tent", 249],
    ["Head Torch", 35],
    ["Thermos", 32],
    ["Camping Chair", 55],
  ],
  kitchen: [
    ["Chef's Knife", 89],
    ["Cast-Iron Pan", 65],
    ["Pour-Over Set", 45],
    ["Grinder", 129],
  ],
};

export const PRODUCTS: readonly Product[] = Object.entries(RANGE).flatMap(([category, list]) =>
  list.map(([name, price]) => ({
    product_id: `${category}-${name.toLowerCase().replaceAll(/[^a-z]+/g, "-")}`,
    name,
    category,
    price,
  })),
);
export const CATEGORIES = Object.keys(RANGE);

/** Zone is hours ahead of UTC: the day of a visitor, not ours, says when they shop. */
export const PLACES = [
  { country: "DE", region: "Berlin", city: "Berlin", zone: 1, locale: "de-DE", weight: 22 },
  { country: "DE", region: "Bavaria", city: "Munich", zone: 1, locale: "de-DE", weight: 12 },
  { country: "FR", region: "Île-de-France", city: "Paris", zone: 1, locale: "fr-FR", weight: 14 },
  { country: "GB", region: "England", city: "London", zone: 0, locale: "en-GB", weight: 14 },
  { country: "NL", region: "North Holland", city: "Amsterdam", zone: 1, locale: "nl-NL", weight: 7 },
  { country: "ES", region: "Catalonia", city: "Barcelona", zone: 1, locale: "es-ES", weight: 7 },
  { country: "US", region: "New York", city: "New York", zone: -5, locale: "en-US", weight: 10 },
  { country: "US", region: "California", city: "San Francisco", zone: -8, locale: "en-US", weight: 8 },
  { country: "BR", region: "São Paulo", city: "São Paulo", zone: -3, locale: "pt-BR", weight: 5 },
  { country: "JP", region: "Tokyo", city: "Tokyo", zone: 9, locale: "ja-JP", weight: 5 },
  { country: "IN", region: "Karnataka", city: "Bengaluru", zone: 5.5, locale: "en-IN", weight: 4 },
  { country: "AU", region: "Victoria", city: "Melbourne", zone: 10, locale: "en-AU", weight: 3 },
] as const;
export type Place = (typeof PLACES)[number];

/** Visits at each hour of a visitor's own day, against an average of about 1: lunch, and the evening on the sofa. */
const DAY = [
  0.35, 0.2, 0.15, 0.12, 0.15, 0.25, 0.5, 0.8, 1.0, 1.1, 1.15, 1.2, 1.35, 1.25, 1.1, 1.1, 1.15, 1.25, 1.45, 1.7, 1.9,
  1.8, 1.3, 0.7,
];

/** @param ms since the epoch. */
export function rhythm(place: Pick<Place, "zone">, ms: number): number {
  const hour = (((ms / 3_600_000 + place.zone) % 24) + 24) % 24;
  const from = Math.floor(hour);
  const share = hour - from;
  return DAY[from]! * (1 - share) + DAY[(from + 1) % 24]! * share;
}

export type Device =
  | {
      readonly kind: "web";
      readonly weight: number;
      readonly userAgent: string;
      readonly screen: readonly [number, number];
    }
  | {
      readonly kind: "app";
      readonly weight: number;
      readonly userAgent: string;
      readonly screen: readonly [number, number];
      readonly os: { readonly name: string; readonly version: string };
      readonly device: { readonly type: string; readonly manufacturer: string; readonly model: string };
    };

const webkit = (system: string, rest: string) =>
  `Mozilla/5.0 (${system}) AppleWebKit/537.36 (KHTML, like Gecko) ${rest}`;

export const DEVICES: readonly Device[] = [
  {
    kind: "web",
    weight: 24,
    userAgent: webkit("Windows NT 10.0; Win64; x64", "Chrome/142.0.0.0 Safari/537.36"),
    screen: [1920, 1080],
  },
  {
    kind: "web",
    weight: 6,
    userAgent: webkit("Windows NT 10.0; Win64; x64", "Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0"),
    screen: [1536, 864],
  },
  {
    kind: "web",
    weight: 10,
    userAgent: webkit("Macintosh; Intel Mac OS X 10_15_7", "Chrome/141.0.0.0 Safari/537.36"),
    screen: [1512, 982],
  },
  {
    kind: "web",
    weight: 5,
    userAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
    screen: [2560, 1440],
  },
  {
    kind: "web",
    weight: 22,
    userAgent:
      "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
    screen: [390, 844],
  },
  {
    kind: "web",
    weight: 18,
    userAgent: webkit("Linux; Android 15; Pixel 9", "Chrome/142.0.0.0 Mobile Safari/537.36"),
    screen: [412, 915],
  },
  {
    kind: "web",
    weight: 5,
    userAgent:
      "Mozilla/5.0 (iPad; CPU OS 17_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.7 Mobile/15E148 Safari/604.1",
    screen: [820, 1180],
  },
  {
    kind: "web",
    weight: 2,
    userAgent: "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    screen: [1024, 768],
  },
  {
    kind: "app",
    weight: 5,
    userAgent: "PileAndSons/4.2 (iPhone; iOS 18.6)",
    screen: [393, 852],
    os: { name: "iOS", version: "18.6" },
    device: { type: "ios", manufacturer: "Apple", model: "iPhone16,1" },
  },
  {
    kind: "app",
    weight: 4,
    userAgent: "okhttp/4.12.0",
    screen: [412, 915],
    os: { name: "Android", version: "15" },
    device: { type: "android", manufacturer: "Google", model: "Pixel 9" },
  },
];

export interface Arrival {
  readonly weight: number;
  readonly referrer: string;
  readonly campaign?: Readonly<Record<"source" | "medium" | "name", string>>;
}

export const ARRIVALS: readonly Arrival[] = [
  { weight: 34, referrer: "" },
  { weight: 28, referrer: "https://www.google.com/" },
  { weight: 5, referrer: "https://duckduckgo.com/" },
  {
    weight: 12,
    referrer: "https://www.google.com/",
    campaign: { source: "google", medium: "cpc", name: "autumn-sale" },
  },
  { weight: 9, referrer: "", campaign: { source: "newsletter", medium: "email", name: "weekly-47" } },
  {
    weight: 8,
    referrer: "https://www.instagram.com/",
    campaign: { source: "instagram", medium: "social", name: "boots-reel" },
  },
  { weight: 4, referrer: "https://blog.example/ten-tents-tested" },
];

export const SEARCHES = ["boots", "tent", "gift", "knife", "rain jacket", "backpack", "coffee", "size 44"];
