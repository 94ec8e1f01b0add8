import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { type EventMessage, parseMessage } from "../../../r2-layout/event-message.ts";
import { INGEST } from "../../../r2-layout/limits.ts";
import { parseLogLine } from "../../../r2-layout/log-line.ts";
import type { Env } from "../../../workers/edge/env.ts";
import type { MessageQueue } from "../../../workers/edge/event-sender.ts";
import edge from "../../../workers/edge/index.ts";
import type { Outcome } from "../../../workers/edge/ingest.ts";
import { WRITE_KEY } from "./edge-config.ts";

interface TestQueue extends MessageQueue {
  readonly messages: EventMessage[];
  failures: number;
  /** Set while a send waits: lets it go on. */
  release: (() => void) | undefined;
  holds: boolean;
}

function testQueue(): TestQueue {
  const queue: TestQueue = {
    messages: [],
    failures: 0,
    holds: false,
    release: undefined,
    send: (body) => queue.sendBatch([{ body, contentType: "text" }]),
    async sendBatch(messages) {
      if (queue.holds) await new Promise<void>((resolve) => (queue.release = resolve));
      if (queue.failures > 0) {
        queue.failures--;
        throw new Error("injected");
      }
      for (const { body } of messages) {
        const parsed = parseMessage(body);
        if (parsed.ok) queue.messages.push(parsed.value);
      }
    },
  };
  return queue;
}

/** The edge as it is, on queues that do as they are told. */
function edgeOn(...queues: TestQueue[]) {
  const bindings = Object.fromEntries(queues.map((queue, shard) => [`EVENTS_${shard}`, queue]));
  const testEnv = { ...(env as unknown as Env), SHARDS: String(queues.length), ...bindings } as Env;
  const start = (path: string, body: unknown) => {
    const context = createExecutionContext();
    const request = new Request(`https://x.example${path}?writeKey=${WRITE_KEY}`, {
      method: "POST",
      body: JSON.stringify(body),
    }) as Parameters<typeof edge.fetch>[0];
    return { context, response: Promise.resolve(edge.fetch(request, testEnv, context)) };
  };
  return {
    start,
    async post(path: string, body: unknown): Promise<Response> {
      const { context, response } = start(path, body);
      const answer = await response;
      await waitOnExecutionContext(context);
      return answer;
    },
  };
}

const ids = (queues: readonly TestQueue[]) =>
  queues.flatMap(({ messages }) =>
    messages.flatMap(({ lines }) => lines.map((line) => parseLogLine(line).row.event_id)),
  );

const events = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ event_id: `e${i}`, event_name: "e", anonymous_id: `a${i}` }));

describe("when a queue does not take its messages (promise 1)", () => {
  beforeEach(() => {
    vi.spyOn(console, "error").mockImplementation(() => {});
  });

  it.each(["/v1/events", "/v1/batch"])("%s says which events must come again, and that time cures it", async (path) => {
    const queues = [testQueue(), testQueue()];
    const { post } = edgeOn(...queues);
    queues[1]!.failures = 1;
    const body =
      path === "/v1/batch"
        ? {
            batch: events(20).map((e) => ({
              type: "track",
              event: "e",
              messageId: e.event_id,
              anonymousId: e.anonymous_id,
            })),
          }
        : events(20);
    const response = await post(path, body);
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe(String(INGEST.retryAfterSeconds));
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    const answer = (await response.json()) as { reason: string; accepted: number; retry: number; outcomes: Outcome[] };
    expect(answer.reason).toBe("store_unavailable");
    // What was called accepted is on a queue, what was called retry is on none.
    const sent = ids(queues);
    expect(sent.length).toBeGreaterThan(0);
    const by = (outcome: string) =>
      answer.outcomes.filter((o) => o.outcome === outcome).map(({ event_id }) => event_id);
    expect(by("ok").sort()).toEqual(sent.sort());
    expect([answer.accepted, answer.retry]).toEqual([sent.length, 20 - sent.length]);

    // The sender sends it all again; nothing is missing, and the ids make the rest duplicates.
    expect((await post(path, body)).status).toBe(200);
    expect(new Set(ids(queues))).toEqual(new Set(events(20).map(({ event_id }) => event_id)));
  });

  it("mints the ids of a retry as it minted them the first time", async () => {
    const queue = testQueue();
    const { post } = edgeOn(queue);
    queue.failures = 1;
    const body = [{ event_name: "e", timestamp: "2026-11-22T12:00:00Z" }, { event_name: "f" }];
    const failed = (await (await post("/v1/events", body)).json()) as { outcomes: Outcome[] };
    await post("/v1/events", body);
    expect(ids([queue])).toEqual(failed.outcomes.map(({ event_id }) => event_id));
  });

  it("does not answer before the queue has the events, and sends them even when nobody waits for the answer", async () => {
    const queue = testQueue();
    queue.holds = true;
    const { start } = edgeOn(queue);
    let answered = false;
    const { context, response } = start("/v1/events", events(1));
    const done = response.then(() => {
      answered = true;
    });
    await vi.waitFor(() => expect(queue.release).toBeDefined(), { timeout: 10_000 });
    await Promise.resolve();
    expect(answered).toBe(false);
    queue.release?.();
    // As after a hang-up: only what the context was told of is waited for.
    await waitOnExecutionContext(context);
    expect(ids([queue])).toEqual(["e0"]);
    await done;
    expect(answered).toBe(true);
  });
});

describe("a configuration that cannot be read", () => {
  it.each([
    ["TOKENS", "not JSON"],
    ["WRITE_KEYS", "[]"],
    ["SHARDS", "0"],
    ["SHARDS", "9"],
  ])("of %s = %s is said to be one, and not shown", async (name, value) => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const request = new Request("https://x.example/healthz") as Parameters<typeof edge.fetch>[0];
    const broken = { ...(env as unknown as Env), [name]: value };
    const response = await edge.fetch(request, broken, createExecutionContext());
    expect(response.status).toBe(500);
    const text = await response.text();
    expect(JSON.parse(text)).toMatchObject({ reason: "misconfigured" });
    expect(text).not.toContain("not JSON");
  });
});
