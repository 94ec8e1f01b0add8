import { reset } from "cloudflare:test";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { SegmentCommit } from "../../../durable-objects/event-log/api.ts";
import { fanOut } from "../../../queues/fan-out/fan-out.ts";
import { LOG } from "../../../r2-layout/limits.ts";
import { bindings } from "../../bindings.ts";
import { batchOf, bodyOf } from "../log-rig.ts";

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(async () => {
  vi.restoreAllMocks();
  await reset();
});

const BODIES = [1, 2, 3].map((n) => bodyOf({ edge: `edge-${n}`, n: 1, before: 0, events: [n] }));

/** A log that refuses what one edge has sent, for what it is. */
const refusing = (edge: string, error: () => Error) => ({
  getByName: (name: string) => {
    const log = bindings.EVENT_LOG.getByName(name);
    return {
      barred: async (after: number) => await log.barred(after),
      filter: async (ids: Uint8Array, messages: Uint8Array) => await log.filter(ids, messages),
      commit: async (commit: SegmentCommit) => {
        if (commit.messages.some((message) => message.edge === edge)) throw error();
        return await log.commit(commit);
      },
    };
  },
});

async function deliver(attempts: number, error: () => Error) {
  const { batch, outcomes } = batchOf("events-0", BODIES);
  const messages = batch.messages.map((message) => ({ ...message, attempts }));
  const logs = refusing("edge-2", error);
  await fanOut({ ...batch, messages } as unknown as MessageBatch<unknown>, { logs, bucket: bindings.BUCKET });
  return outcomes;
}

const poison = async () => (await bindings.BUCKET.list({ prefix: "poison/", include: ["customMetadata"] })).objects;
const committed = async () => (await bindings.EVENT_LOG.getByName("000").status()).committed;

it("does not let a message that the log refuses take its neighbours with it, and parks it after bounded deliveries", async () => {
  const refusal = () => new TypeError("its ids are none");
  expect(await deliver(1, refusal)).toEqual(["ack", "retry", "ack"]);
  expect(await committed()).toBe(2);
  expect(await deliver(LOG.poisonDeliveries - 1, refusal)).toEqual(["ack", "retry", "ack"]);
  expect(await poison()).toEqual([]);
  expect(await deliver(LOG.poisonDeliveries, refusal)).toEqual(["ack", "ack", "ack"]);
  const [parked, ...others] = await poison();
  expect(others).toEqual([]);
  expect(parked!.customMetadata).toMatchObject({
    cause: "message_refused",
    detail: "TypeError: its ids are none",
    attempts: String(LOG.poisonDeliveries),
    events: "1",
  });
  expect(await (await bindings.BUCKET.get(parked!.key))!.text()).toBe(BODIES[1]);
  expect(await committed()).toBe(2);
});

it("parks nothing in an outage, however often a message is delivered", async () => {
  expect(await deliver(LOG.deliveries, () => new Error("Network connection lost."))).toEqual([
    "retry",
    "retry",
    "retry",
  ]);
  expect(await poison()).toEqual([]);
});

it("parks ids that are no base64, and commits the rest of the batch", async () => {
  const header = { ids: `${"*".repeat(22)}==` };
  const { batch, outcomes } = batchOf("events-0", [
    BODIES[0],
    bodyOf({ edge: "e", n: 1, before: 0, events: [9], header }),
  ]);
  await fanOut(batch, { logs: bindings.EVENT_LOG, bucket: bindings.BUCKET });
  expect(outcomes).toEqual(["ack", "ack"]);
  expect(await committed()).toBe(1);
  expect((await poison()).map(({ customMetadata }) => customMetadata?.cause)).toEqual(["malformed_message"]);
});
