import { reset } from "cloudflare:test";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { parkDeadLetters } from "../../queues/dead-letter.ts";
import { bindings } from "../bindings.ts";
import { batchOf } from "./log-rig.ts";

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(async () => {
  vi.restoreAllMocks();
  await reset();
});

it("parks what was delivered in vain, text and bytes as they are, and lets it go only then", async () => {
  const { batch, outcomes } = batchOf("events-dead", ["a message", Uint8Array.of(1, 2, 3), { json: 1 }]);
  await parkDeadLetters(batch, bindings.BUCKET);
  expect(outcomes).toEqual(["ack", "ack", "ack"]);
  const { objects } = await bindings.BUCKET.list({ prefix: "poison/" });
  expect(objects.every(({ key }) => key.includes("/events-dead/"))).toBe(true);
  const bodies = await Promise.all(
    objects.map(async ({ key }) => {
      const object = (await bindings.BUCKET.get(key))!;
      expect(object.customMetadata).toMatchObject({ cause: "retries_exhausted" });
      return object.text();
    }),
  );
  expect(bodies.sort()).toEqual(["a message", '{"json":1}', "\u0001\u0002\u0003"].sort());
});

it("keeps on the queue what cannot be parked", async () => {
  const { batch, outcomes } = batchOf("events-dead", ["a message"]);
  await parkDeadLetters(batch, { put: () => Promise.reject(new Error("injected")) });
  expect(outcomes).toEqual(["retry"]);
});
