/** Bodies as Segment's browser SDK sends them in batches, seeded: the same number gives the same body. */

export const EVENTS_PER_REQUEST = 20;

const AGENTS = [
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
  "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:145.0) Gecko/20100101 Firefox/145.0",
];
export const EVENTS = ["Product Viewed", "Product Added", "Cart Viewed", "Checkout Started", "Order Completed"];
const SENT_AT = Date.UTC(2026, 10, 22, 12);

/** About 440 bytes an event. */
export function eventsBatch(number: number): string {
  const batch = Array.from({ length: EVENTS_PER_REQUEST }, (_, i) => {
    const id = number * EVENTS_PER_REQUEST + i;
    const product = (id * 7_919) % 1_000;
    return {
      type: "track",
      event: EVENTS[id % EVENTS.length],
      messageId: `ajs-next-${String(id).padStart(12, "0")}`,
      anonymousId: `visitor-${id % 1_000}`,
      timestamp: new Date(SENT_AT - i * 250).toISOString(),
      properties: { sku: `sku-${product}`, price: product / 10, currency: "EUR" },
      context: {
        page: { path: `/p/${product}`, url: `https://shop.example/p/${product}`, title: "Shop" },
        userAgent: AGENTS[id % AGENTS.length],
        locale: "en-GB",
      },
    };
  });
  return JSON.stringify({ batch, sentAt: new Date(SENT_AT).toISOString(), writeKey: "dev" });
}
