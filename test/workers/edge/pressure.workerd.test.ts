import { createExecutionContext, env } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { parseMessage } from "../../../r2-layout/event-message.ts";
import { INGEST, READING } from "../../../r2-layout/limits.ts";
import { parseLogLine } from "../../../r2-layout/log-line.ts";
import type { Env } from "../../../workers/edge/env.ts";
import type { MessageQueue } from "../../../workers/edge/event-sender.ts";
import edge from "../../../workers/edge/index.ts";
import type { Outcome } from "../../../workers/edge/ingest.ts";
import { TOKEN, WRITE_KEY } from "./edge-config.ts";

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** `late`: it answers after the sender has given up, and has the message all the same. */
const MOODS = ["takes", "refuses", "too_many", "hangs", "late", "lost_answer"] as const;
type Mood = (typeof MOODS)[number];

/** A queue whose calls each go as they are told to. */
class MoodyQueue implements MessageQueue {
  readonly bodies: string[] = [];
  moods: Mood[] = [];

  send(body: string): Promise<void> {
    return this.sendBatch([{ body, contentType: "text" }]);
  }

  async sendBatch(messages: readonly { body: string; contentType: "text" }[]): Promise<void> {
    const take = () => {
      for (const { body } of messages) this.bodies.push(body);
    };
    switch (this.moods.shift() ?? "takes") {
      case "takes":
        return take();
      case "refuses":
        throw new Error("Queue send failed: Internal Server Error");
      case "too_many":
        throw new Error("Queue send failed: Too Many Requests");
      case "hangs":
        return new Promise(() => {});
      case "late":
        await new Promise((resolve) => setTimeout(resolve, INGEST.sendTimeoutMs + 5_000));
        return take();
      case "lost_answer":
        take();
        throw new Error("Network connection lost.");
    }
  }

  ids(): string[] {
    return this.bodies.flatMap((body) => {
      const parsed = parseMessage(body);
      return parsed.ok ? parsed.value.lines.map((line) => parseLogLine(line).row.event_id) : [];
    });
  }
}

type EdgeRequest = Parameters<typeof edge.fetch>[0];

/** A new env is a new isolate: it holds nothing yet. */
function edgeOn(bindings: Record<string, unknown>) {
  const testEnv = { ...(env as unknown as Env), ...bindings } as Env;
  return async (path: string, init: RequestInit = {}): Promise<Response> =>
    edge.fetch(new Request(`https://x.example${path}`, init) as EdgeRequest, testEnv, createExecutionContext());
}

const ingestPath = (path: string) => `${path}?writeKey=${WRITE_KEY}`;
const events = (count: number, name = "e") =>
  Array.from({ length: count }, (_, i) => ({ event_id: `${name}${i}`, event_name: "e", anonymous_id: `a${i}` }));

interface IngestAnswer {
  reason?: string;
  accepted: number;
  retry: number;
  outcomes: Outcome[];
}

/** Runs the clock until the request has its answer. */
async function answered(response: Promise<Response>): Promise<Response> {
  let done = false;
  const settled = response.finally(() => {
    done = true;
  });
  while (!done) await vi.advanceTimersByTimeAsync(1_000);
  return settled;
}

describe("when a queue is slow to take its messages", () => {
  it("is answered 503 with Retry-After after INGEST.sendTimeoutMs, and not before", async () => {
    const queue = new MoodyQueue();
    const call = edgeOn({ SHARDS: "1", EVENTS_0: queue });
    // The first request of an isolate asks for the contracts, too.
    await call(ingestPath("/v1/events"), { method: "POST", body: JSON.stringify(events(1)) });
    queue.moods = ["hangs"];
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    let status = 0;
    const response = call(ingestPath("/v1/events"), { method: "POST", body: JSON.stringify(events(2)) });
    const settled = response.then((answer) => {
      status = answer.status;
    });
    await vi.advanceTimersByTimeAsync(INGEST.sendTimeoutMs - 1);
    expect(status).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    await settled;
    const answer = await response;
    expect(answer.headers.get("retry-after")).toBe(String(INGEST.retryAfterSeconds));
    const document = (await answer.json()) as IngestAnswer;
    expect([answer.status, document.reason, document.accepted, document.retry]).toEqual([
      503,
      "store_unavailable",
      0,
      2,
    ]);
    expect(document.outcomes.map(({ outcome }) => outcome)).toEqual(["retry", "retry"]);
  });

  it("promise 1: whatever the queues do, what is called accepted is on one, and nothing is answered but 200 and 503", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const moods = fc.array(fc.constantFrom(...MOODS), { minLength: 1, maxLength: 3 });
    let failed = 0;
    await fc.assert(
      fc.asyncProperty(
        moods,
        moods,
        fc.integer({ min: 1, max: 40 }),
        fc.boolean(),
        async (first, second, count, asBatch) => {
          const queues = [new MoodyQueue(), new MoodyQueue()];
          const call = edgeOn({ SHARDS: "2", EVENTS_0: queues[0], EVENTS_1: queues[1] });
          queues[0]!.moods = [...first];
          queues[1]!.moods = [...second];
          const accepted = new Set<string>();
          for (let round = 0; round < 3; round++) {
            const list = events(count, `r${round}-`);
            const body = asBatch
              ? {
                  batch: list.map((e) => ({
                    type: "track",
                    event: "e",
                    messageId: e.event_id,
                    anonymousId: e.anonymous_id,
                  })),
                }
              : list;
            const path = ingestPath(asBatch ? "/v1/batch" : "/v1/events");
            const response = await answered(call(path, { method: "POST", body: JSON.stringify(body) }));
            expect([200, 503]).toContain(response.status);
            const { outcomes, retry } = (await response.json()) as IngestAnswer;
            if (response.status === 503) {
              failed++;
              expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
              expect(retry).toBeGreaterThan(0);
            }
            const retried = new Set(
              outcomes.filter(({ outcome }) => outcome === "retry").map(({ event_id }) => event_id),
            );
            for (const { event_id } of list) if (!retried.has(event_id)) accepted.add(event_id);
          }
          const sent = new Set(queues.flatMap((queue) => queue.ids()));
          for (const id of accepted) expect(sent).toContain(id);
        },
      ),
      { numRuns: 25, examples: [[["refuses", "takes"], ["hangs"], 20, false]] },
    );
    expect(failed).toBeGreaterThan(0);
  });
});

describe("when more comes than one isolate can hold (promise 9)", () => {
  const body = (bytes: number) =>
    JSON.stringify(
      Array.from({ length: Math.ceil(bytes / 1_000) }, (_, i) => ({
        event_name: "e",
        event_id: `e${i}`,
        text: "x".repeat(950),
      })),
    );

  it.each(["with", "without"] as const)(
    "turns away what is beyond with 429, %s its length announced, and takes it later",
    async (announced) => {
      const queue = new MoodyQueue();
      const call = edgeOn({ SHARDS: "1", EVENTS_0: queue });
      const large = body(3_500_000);
      const send = () => {
        const stream = announced === "with" ? large : (new Blob([large]).stream() as BodyInit);
        const headers: HeadersInit = announced === "with" ? { "content-length": String(large.length) } : [];
        return call(ingestPath("/v1/events"), { method: "POST", body: stream, headers });
      };
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
      queue.moods = Array(4 * 40).fill("hangs");
      const fits = Math.floor(INGEST.heldBytes / large.length);
      const waiting = Array.from({ length: fits }, send);
      // Each is parsed, and stands before its queue.
      await vi.waitFor(() => expect(queue.moods.length).toBeLessThanOrEqual(4 * 40 - fits), { timeout: 10_000 });
      const refused = await send();
      expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, String(INGEST.retryAfterSeconds)]);
      expect(((await refused.json()) as IngestAnswer).reason).toBe("too_busy");
      for (const response of await Promise.all(waiting.map(answered))) expect(response.status).toBe(503);
      queue.moods = [];
      vi.useRealTimers();
      expect((await send()).status).toBe(200);
    },
  );
});

const ROUTES: [string, string, RequestInit?][] = [
  ["/v1/users/u/events", TOKEN.support],
  ["/v1/users/u/sessions", TOKEN.support],
  ["/v1/users/u/profile", TOKEN.support],
  ["/v1/devices/d/events", TOKEN.support],
  ["/v1/rollups?metric=events", TOKEN.live],
  ["/v1/ledger", TOKEN.admin],
  ["/metrics", TOKEN.admin],
  ["/v1/replays", TOKEN.admin],
  ["/v1/replays/r1", TOKEN.admin],
  ["/v1/corrections", TOKEN.admin],
  ["/v1/quarantine", TOKEN.admin],
  ["/v1/quarantine/h.sessions.000.1", TOKEN.admin],
  ["/v1/quarantine/h.lake.000.1/redrive", TOKEN.admin, { method: "POST" }],
  ["/v1/sql", TOKEN.sql, { method: "POST", body: '{"sql":"select 1"}' }],
];

const FAILURES: Record<string, () => Promise<never>> = {
  "throws what an object's code threw": () => Promise.reject(Object.assign(new TypeError("no"), { remote: true })),
  "has lost its connection": () =>
    Promise.reject(Object.assign(new Error("Network connection lost."), { retryable: true })),
  "is overloaded": () =>
    Promise.reject(Object.assign(new Error("Durable Object is overloaded."), { overloaded: true })),
  "was reset": () => Promise.reject(Object.assign(new Error("reset"), { durableObjectReset: true })),
  "fails as R2 does": () =>
    Promise.reject(new Error("get: We encountered an internal error. Please try again. (10001)")),
  hangs: () => new Promise<never>(() => {}),
};

const NAMESPACES = ["EVENT_LOG", "SINK_CURSOR", "LAKE_CATALOG", "USER_TIMELINE", "MINUTE_ROLLUP", "REPLAY_DESK"];

/** Every binding behind the reads, failing. */
function failing(failure: () => Promise<never>): Record<string, unknown> {
  const part = new Proxy({}, { get: (_, name) => (name === "then" ? undefined : failure) });
  const namespace = { getByName: () => part };
  return {
    ...Object.fromEntries(NAMESPACES.map((name) => [name, namespace])),
    BUCKET: part,
    QUERY: { fetch: failure },
  };
}

describe("when a part behind the reads", () => {
  it.each(Object.keys(FAILURES))("%s, every address answers 503 with Retry-After and a reason", async (failure) => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const call = edgeOn(failing(FAILURES[failure]!));
    for (const [path, token, init] of ROUTES) {
      const response = await answered(call(path, { ...init, headers: { authorization: `Bearer ${token}` } }));
      const { reason } = (await response.json()) as { reason: string };
      expect([path, response.status, reason]).toEqual([path, 503, "upstream_unavailable"]);
      expect(response.headers.get("retry-after")).toBe(String(INGEST.retryAfterSeconds));
    }
  });

  it("is slow, it is waited for, up to READING.answerMs", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const slow = (ms: number) => ({
      getByName: () => ({
        liveGeneration: async () => 0,
        sessions: () => new Promise((resolve) => setTimeout(() => resolve([]), ms)),
      }),
    });
    const statusAfter = async (ms: number) => {
      const call = edgeOn({ USER_TIMELINE: slow(ms), SINK_CURSOR: slow(0) });
      const headers = { authorization: `Bearer ${TOKEN.support}` };
      return (await answered(call("/v1/users/u/sessions", { headers }))).status;
    };
    expect(await statusAfter(READING.answerMs - 1)).toBe(200);
    expect(await statusAfter(READING.answerMs + 1)).toBe(503);
  });
});
