import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PLATFORM } from "../../../r2-layout/limits.ts";
import { bundleWorker } from "../../../scripts/local/bundle.ts";
import { Invocation } from "../../../scripts/local/limits/invocation.ts";
import { limitedEntry } from "../../../scripts/local/limits/limited-entry.ts";
import { queueBinding, queueWorker } from "../../../scripts/local/queue/queue-worker.ts";
import { RateWindow } from "../../../scripts/local/queue/rate-window.ts";
import { structuredBytes } from "../../../scripts/local/queue/structured-bytes.ts";
import { v4Modules } from "../../../scripts/local/v4-worker.ts";

const DATE = "2026-08-15";
let miniflare: Miniflare;
let url: URL;
let open = 0;

beforeAll(async () => {
  const slow = async () => {
    const seen = ++open;
    await new Promise((resolve) => setTimeout(resolve, 20));
    open--;
    return new Response(String(seen)) as never;
  };
  miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: "127.0.0.1",
      port: 0,
      cf: {},
      workers: [
        {
          name: "limited",
          compatibilityDate: DATE,
          compatibilityFlags: ["nodejs_compat"],
          ...v4Modules(
            await bundleWorker({
              entry: limitedEntry({
                main: join(import.meta.dirname, "limited-worker.ts"),
                classes: ["Counter"],
                isEdge: false,
              }),
              folder: import.meta.dirname,
              name: "limited",
            }),
          ),
          bindings: { LOCAL_QUEUE_BINDINGS: ["QUEUE", "FLOOD"] },
          r2Buckets: { BUCKET: "bucket" },
          durableObjects: { COUNTER: { className: "Counter", useSQLite: true } },
          serviceBindings: { QUEUE: queueBinding("q"), FLOOD: queueBinding("flood"), SLOW: slow },
          outboundService: slow,
        },
        await queueWorker({
          queues: ["q", "flood"],
          consumers: {},
          crons: {},
          services: {},
          chaos: {},
          compatibilityDate: DATE,
        }),
      ],
    }),
  );
  url = await miniflare.ready;
}, 30_000);
afterAll(() => miniflare.dispose());

const run = async (what: string, count = 0) => (await fetch(new URL(`/${what}?count=${count}`, url))).text();

describe("promise 9: a local run refuses what Cloudflare would, and takes what it takes", () => {
  it("10,000 subrequests of one invocation pass and one more fails", async () => {
    expect(await run("reads", PLATFORM.subrequests)).toBe(String(PLATFORM.subrequests));
    expect(await run("reads", PLATFORM.subrequests + 1)).toContain("Too many subrequests");
  });

  it("every kind of call counts: R2, queue, object, service, fetch", async () => {
    expect(await run("mixed", PLATFORM.subrequests - 5)).toBe(String(PLATFORM.subrequests));
    expect(await run("mixed", PLATFORM.subrequests - 4)).toContain("Too many subrequests");
  });

  it("each call of an object is an invocation of its own", async () => {
    for (let i = 0; i < 3; i++) expect(await run("inObject", 400)).toBe("400");
  });

  it("six connections are open at once; the seventh waits and is answered too", async () => {
    expect(JSON.parse(await run("open", 6))).toEqual({ calls: 6, most: 6 });
    expect(JSON.parse(await run("open", 40))).toEqual({ calls: 40, most: 6 });
  });

  it("32 MiB cross an RPC and a byte more does not, either way: the runtime's own check", async () => {
    // What the runtime writes around the bytes counts too, and less around a result than around arguments.
    const around = 20;
    const most = PLATFORM.rpcBytes - around;
    expect(await run("rpcArgument", most)).toBe(String(most));
    expect(await run("rpcArgument", most + 1)).toContain("limited to 32MiB");
    expect(await run("rpcResult", most)).toBe(String(most));
    expect(await run("rpcResult", most + around + 1)).toContain("limited to 32MiB");
  });

  it("5,000 messages a second enter a queue and one more does not", () => {
    const window = new RateWindow(PLATFORM.queueMessagesPerSecond);
    expect(window.take(4_999, 1_000)).toBe(true);
    expect(window.take(1, 1_999)).toBe(true);
    expect(window.take(1, 1_999)).toBe(false);
    expect(window.take(1, 2_000)).toBe(true);
  });

  it("5,000 messages sent at once enter a real queue, and of 15,000 some are refused", async () => {
    const flood = (batches: number) => Promise.all(Array.from({ length: batches }, () => run("batch", 100)));
    expect(new Set(await flood(50))).toEqual(new Set(["100"]));
    expect((await flood(150)).filter((answer) => answer.includes("Too Many Requests")).length).toBeGreaterThan(0);
  });

  it("a multipart upload counts and works, and the Worker sees only its own bindings", async () => {
    expect(await run("multipart")).toBe("1");
    expect(JSON.parse(await run("bindings"))).toEqual(expect.arrayContaining(["BUCKET", "COUNTER", "QUEUE", "SLOW"]));
    expect(await run("bindings")).not.toContain("LOCAL_QUEUE_BINDINGS");
  });
});

describe("an invocation", () => {
  it("frees a connection when its call fails, so that those waiting go on", async () => {
    const invocation = new Invocation();
    let under = 0;
    let most = 0;
    const call = async (n: number) => {
      most = Math.max(most, ++under);
      await Promise.resolve();
      under--;
      if (n % 3 === 0) throw new Error("failed on purpose");
      return n;
    };
    const results = await Promise.allSettled(Array.from({ length: 50 }, (_, n) => invocation.connected(() => call(n))));
    expect(results.filter(({ status }) => status === "rejected").length).toBe(17);
    expect(most).toBe(PLATFORM.simultaneousConnections);
    expect(under).toBe(0);
  });
});

describe("structuredBytes", () => {
  it.each([
    ["bytes", new Uint8Array(1_000), 1_000],
    ["Latin-1 text", "é".repeat(1_000), 1_000],
    ["other text", "ж".repeat(1_000), 2_000],
    ["nested", { list: [new Map([["k", new Set([new ArrayBuffer(1_000)])]])] }, 1_000],
  ])("is near the size of %s", (_, value, bytes) => {
    expect(structuredBytes(value)).toBeGreaterThanOrEqual(bytes);
    expect(structuredBytes(value)).toBeLessThan(bytes * 1.1);
  });

  it("ends on a value that holds itself", () => {
    const ring: unknown[] = [];
    ring.push(ring);
    expect(structuredBytes(ring)).toBeLessThan(100);
  });
});
