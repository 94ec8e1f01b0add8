import { expect, it, vi } from "vitest";
import { BatchSender } from "../../../scripts/import/batch-sender.ts";

type Reply = () => Response;
const ok: Reply = () => Response.json({ success: true, accepted: 1, warnings: 0, outcomes: [] });
const busy =
  (status: number, retryAfter = "0"): Reply =>
  () =>
    new Response("later", { status, headers: { "retry-after": retryAfter } });

/** A sender whose requests get these replies in turn, then ok. */
function sender(...replies: Reply[]) {
  const bodies: string[] = [];
  const made = new BatchSender({
    url: "http://test",
    giveUpMs: 5_000,
    fetch: vi.fn(async (_: unknown, init?: RequestInit) => {
      bodies.push(String(init?.body));
      return (replies.shift() ?? ok)();
    }) as unknown as typeof fetch,
  });
  return { made, bodies };
}

it("sends every event once when all is well, in requests within Segment's limits", async () => {
  const { made, bodies } = sender();
  for (let i = 0; i < 1_000; i++) await made.add({ messageId: String(i), properties: { text: "x".repeat(i * 3) } });
  await made.finish();
  const ids = bodies.flatMap((body) =>
    (JSON.parse(body) as { batch: { messageId: string }[] }).batch.map((event) => event.messageId),
  );
  expect(ids.sort((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: 1_000 }, (_, i) => String(i)));
  for (const body of bodies) expect(body.length).toBeLessThan(500_000);
});

it("repeats the same body after 429, 503 and a broken connection (promise 1)", async () => {
  const { made, bodies } = sender(busy(429), busy(503), () => {
    throw new TypeError("connection reset");
  });
  await made.add({ messageId: "a" });
  const sent = await made.finish();
  expect(sent).toMatchObject({ accepted: 1, retries: 3 });
  expect(new Set(bodies).size).toBe(1);
  expect(bodies.length).toBe(4);
});

it("waits as long as Retry-After says", async () => {
  const { made } = sender(busy(503, "1"));
  const started = Date.now();
  await made.add({ messageId: "a" });
  await made.finish();
  expect(Date.now() - started).toBeGreaterThanOrEqual(950);
});

it("gives up at once on what time does not cure, and says what was answered", async () => {
  const { made, bodies } = sender(() => new Response('{"reason":"unknown_write_key"}', { status: 401 }));
  await made.add({ messageId: "a" });
  await expect(made.finish()).rejects.toThrow(/401.*unknown_write_key/);
  expect(bodies.length).toBe(1);
});
