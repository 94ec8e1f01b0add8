/** Events of a small shop over four days, some of them odd enough for the quarantine. */
import { DAY_MS } from "../../r2-layout/limits.ts";
import type { RunningSystem } from "../system/harness.ts";

const NAMES = ["Product Viewed", "Product Added", "Order Completed", "Größe gewählt 👟"];
const BATCH = 500;

/** @param from number of the first event: each number is one event, always the same. */
export async function feed(
  system: RunningSystem,
  from: number,
  count: number,
  properties: (n: number) => Readonly<Record<string, unknown>> = () => ({}),
): Promise<void> {
  const now = Date.now();
  const events = Array.from({ length: count }, (_, i) => event(from + i, now, properties(from + i)));
  for (let at = 0; at < events.length; at += BATCH) {
    const response = await system.sendBatch(events.slice(at, at + BATCH));
    if (!response.ok) throw new Error(`events are refused: ${response.status} ${await response.text()}`);
    await response.body?.cancel();
  }
  await system.settled();
}

function event(n: number, now: number, properties: Readonly<Record<string, unknown>>): object {
  const name = NAMES[n % NAMES.length]!;
  // Every hundredth has no name: it is kept, apart from the others.
  const isOdd = n % 100 === 99;
  return {
    type: "track",
    ...(!isOdd && { event: name }),
    messageId: `interop-${n}`,
    anonymousId: `device-${n % 40}`,
    ...(n % 3 === 0 && { userId: `user-${n % 25}` }),
    timestamp: new Date(now - (n % 4) * DAY_MS - (n % 1_000) * 1_000).toISOString(),
    properties: { ...(name === "Order Completed" && { revenue: (n % 400) / 4, currency: "EUR" }), ...properties },
  };
}
