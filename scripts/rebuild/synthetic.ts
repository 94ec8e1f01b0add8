/** Seeded events of some dozen users over some hours, as Segment's batch API takes them. */
import { Random } from "../demo/random.ts";

const HOUR_MS = 3_600_000;
const NAMES = ["page", "Product Viewed", "Product Added", "search", "Order Completed"] as const;
const PATHS = ["/", "/products/kettle", "/products/lamp", "/cart", "/checkout", "/help/größe", "/a'b\"c"];
/** Few: a local disk takes two hundred new objects a second, and each rebuild makes one for every user and device. */
const USERS = 60;
const DEVICES_PER_USER = 2;

/** @param until milliseconds; the events lie in the three hours before it, in no order. */
export function* syntheticEvents(count: number, until: number, seed = 1): Generator<object> {
  const random = new Random(seed);
  for (let i = 0; i < count; i++) {
    const user = random.int(0, USERS - 1);
    const name = NAMES[random.int(0, NAMES.length - 1)]!;
    const isPage = name === "page";
    const order = name === "Order Completed";
    yield {
      type: isPage ? "page" : "track",
      ...(!isPage && { event: name }),
      messageId: `synthetic-${seed}-${i}`,
      anonymousId: `device-${user}-${random.int(0, DEVICES_PER_USER - 1)}`,
      // One in five is sent before its user has signed in.
      ...(random.chance(0.8) && { userId: `user-${user}` }),
      timestamp: new Date(until - random.int(0, 3 * HOUR_MS)).toISOString(),
      context: {
        page: { url: `https://shop.example${encodeURI(random.pick(PATHS))}` },
        app: { name: "shop", version: random.pick(["1.0", "1.1", "2.0"]) },
        locale: random.pick(["de-DE", "en-US", "fr-FR"]),
      },
      properties: order
        ? { revenue: random.int(100, 99_999) / 100, currency: random.pick(["EUR", "USD"]), order_id: `o-${i}` }
        : { position: random.int(1, 50), note: random.pick(["plain", "ü€😀", 'it\'s "quoted"']) },
    };
  }
}
