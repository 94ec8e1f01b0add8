import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { bundleWorker } from "../../../scripts/local/bundle.ts";
import { parseChaos } from "../../../scripts/local/chaos-setting.ts";
import { LOCAL_TOKEN } from "../../../scripts/local/credentials.ts";
import { FaultInjector, type FaultReport, MARKER } from "../../../scripts/local/faults/injector.ts";
import { type FaultRule, NO_FAULTS } from "../../../scripts/local/faults/plan.ts";
import { limitedEntry } from "../../../scripts/local/limits/limited-entry.ts";
import { QUEUE_WORKER_NAME, queueBinding, queueWorker } from "../../../scripts/local/queue/queue-worker.ts";
import { v4Modules } from "../../../scripts/local/v4-worker.ts";
import { ROOT, readWorkerSources } from "../../../scripts/local/wrangler-config.ts";
import { until } from "./queue-rig.ts";

const DATE = "2026-08-15";
let miniflare: Miniflare;
let url: URL;

beforeAll(async () => {
  const entry = limitedEntry({
    main: join(import.meta.dirname, "faulty-worker.ts"),
    classes: ["Counter"],
    isEdge: false,
  });
  const consumer = { binding: "FAULTY", batchSize: 1, waitMs: 0, maxRetries: 9, retryDelayMs: 0, concurrency: 1 };
  miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: "127.0.0.1",
      port: 0,
      cf: {},
      workers: [
        {
          name: "faulty",
          compatibilityDate: DATE,
          compatibilityFlags: ["nodejs_compat"],
          ...v4Modules(await bundleWorker({ entry, folder: import.meta.dirname, name: "faulty" })),
          bindings: {
            LOCAL_QUEUE_BINDINGS: ["QUEUE"],
            LOCAL_FAULTS: { worker: "faulty", token: LOCAL_TOKEN, plan: { seed: 0, rules: [] } },
          },
          r2Buckets: { BUCKET: "bucket" },
          durableObjects: { COUNTER: { className: "Counter", useSQLite: true } },
          serviceBindings: { QUEUE: queueBinding("q"), LOCAL_CONTROL: QUEUE_WORKER_NAME },
        },
        await queueWorker({
          queues: ["q"],
          consumers: { q: { ...consumer, deadLetterQueue: null } },
          crons: {},
          services: { FAULTY: "faulty" },
          faultWorkers: ["FAULTY"],
          chaos: {},
          compatibilityDate: DATE,
        }),
      ],
    }),
  );
  url = await miniflare.ready;
});
afterAll(() => miniflare.dispose());

interface Ran {
  readonly value?: unknown;
  readonly ms?: number;
  readonly error?: string;
  readonly [flag: string]: unknown;
}
const run = async (path: string): Promise<Ran> => (await fetch(new URL(path, url))).json() as Promise<Ran>;
const keys = async (prefix: string) => ((await run("keys")).value as string[]).filter((key) => key.startsWith(prefix));

async function chaos(method: "GET" | "POST", body?: unknown): Promise<{ status: number; answer: never }> {
  const control = await miniflare.getWorker(QUEUE_WORKER_NAME);
  const response = await control.fetch("http://local/local/chaos", {
    method,
    headers: { authorization: `Bearer ${LOCAL_TOKEN}` },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: response.status, answer: (await response.json()) as never };
}
const inject = (rules: readonly FaultRule[], seed = 1) => chaos("POST", { seed, rules });
async function fired(): Promise<FaultReport["fired"]> {
  const { workers } = (await chaos("GET")).answer as { workers: FaultReport[] };
  return workers[0]!.fired;
}
beforeEach(() => chaos("POST", NO_FAULTS));

describe("a call of a local run", () => {
  it("that fails before has no effect, that fails after has it; the caller cannot tell", async () => {
    await inject([{ target: "r2/BUCKET.put", kind: "before", rate: 1, times: 1 }]);
    const before = await run("put?key=before");
    await inject([{ target: "r2/*", kind: "after", rate: 1, times: 1 }]);
    const after = await run("put?key=after");
    expect(before).toEqual({ error: expect.stringContaining("10001") });
    expect(after).toEqual(before);
    expect(await fired()).toEqual([{ kind: "after", target: "r2/BUCKET.put", count: 1 }]);
    expect(await run("put?key=later")).toMatchObject({ value: "later" });
    expect(await keys("")).toEqual(expect.arrayContaining(["after", "later"]));
    expect(await keys("before")).toEqual([]);
  });

  it("to an object carries the flags that workerd sets", async () => {
    await inject([{ target: "object/COUNTER.add", kind: "before", rate: 1 }]);
    expect(await run("add")).toEqual({ error: expect.stringContaining("connection lost"), retryable: true });
    await inject([{ target: "object/*", kind: "overloaded", rate: 1 }]);
    expect(await run("add")).toEqual({ error: expect.stringContaining("overloaded"), overloaded: true });
    await inject([{ target: "queue/*", kind: "overloaded", rate: 1 }]);
    expect(await run("send?id=refused&puts=0")).toEqual({ error: expect.stringContaining("Too Many Requests") });
  });

  it("that is delayed is answered all the same", async () => {
    await inject([{ target: "r2/*", kind: "delay", rate: 1, delayMs: 400 }]);
    const runs = await Promise.all(Array.from({ length: 6 }, (_, i) => run(`put?key=slow-${i}`)));
    expect(Math.max(...runs.map(({ ms }) => ms!))).toBeGreaterThan(50);
    expect((await fired())[0]).toMatchObject({ kind: "delay", count: 6 });
    expect((await keys("slow-")).length).toBe(6);
  });

  it("goes wrong by the seed alone: the same seed, the same calls", async () => {
    const draw = (seed: number) => {
      const injector = new FaultInjector();
      injector.use("edge", { seed, rules: [{ target: "r2/*", kind: "overloaded", rate: 0.3 }] });
      return Promise.all(
        Array.from({ length: 60 }, () => injector.around("r2", "BUCKET.get", async () => "got").catch(() => "refused")),
      );
    };
    expect(await draw(7)).toEqual(await draw(7));
    expect(await draw(7)).not.toEqual(await draw(8));
    expect((await draw(7)).filter((it) => it === "refused").length).toBeGreaterThan(5);
  });
});

describe("a consumer's invocation that is cut off", () => {
  it("makes no call after its end, not even in a finally block, and its messages come again", async () => {
    await inject([{ target: "consumer/q", kind: "cut", rate: 1, times: 1, calls: 1 }]);
    await run("send?id=cut&puts=3");
    await until("the message was consumed", async () => (await keys("cut/2/end")).length === 1);
    // Cut at its first call, so before or after that call's effect.
    expect((await keys("cut/1/")).filter((key) => key !== "cut/1/0")).toEqual([]);
    expect((await keys("cut/2/")).length).toBe(4);
    expect(await fired()).toEqual([{ kind: "cut", target: "consumer/q", count: 1 }]);
  });

  it("keeps the acks that it gave before", async () => {
    await inject([{ target: "consumer/q", kind: "cut", rate: 1, times: 1, calls: 1 }]);
    await run("send?id=acked&puts=3&ack");
    await run("send?id=next&puts=1");
    await until("the next message was consumed", async () => (await keys("next/1/end")).length === 1);
    expect(await keys("acked/2/")).toEqual([]);
  });

  it("is no fault where it ends before the call that was drawn", async () => {
    await inject([{ target: "consumer/q", kind: "cut", rate: 1, calls: 1_000_000 }]);
    await run("send?id=short&puts=1");
    await until("the message was consumed", async () => (await keys("short/1/end")).length === 1);
    expect(await fired()).toEqual([]);
  });
});

it("an object that is reset has lost its memory and nothing else", async () => {
  const { stored } = (await run("add")).value as { stored: number };
  await run("add");
  await inject([{ target: "reset/Counter.add", kind: "reset", rate: 1, times: 1 }]);
  expect((await run("add")).error).toContain("reset");
  const { inMemory, stored: now } = (await run("add")).value as { inMemory: number; stored: number };
  expect(inMemory).toBe(1);
  // The call that was reset had its effect or not: both are allowed, nothing between.
  expect([stored + 2, stored + 3]).toContain(now);
  expect(await fired()).toEqual([{ kind: "reset", target: "reset/Counter.add", count: 1 }]);
});

describe("a chaos setting that is malformed", () => {
  it.each([
    ["{", "it is not JSON"],
    ["[]", "it is [], not an object"],
    ['{"*":{"twice":2}}', "*.twice is 2, not a share from 0 to 1"],
    ['{"lake":{"dropAck":1}}', 'lake has a member "dropAck" that nobody knows'],
    ['{"faults":{"seed":"a"}}', 'faults.seed is "a", not a whole number'],
    ['{"faults":{"rules":[{"target":"r2/*","kind":"burn","rate":1}]}}', 'faults.rules[0].kind is "burn"'],
    ['{"faults":{"rules":[{"target":"consumer/*","kind":"before","rate":1}]}}', "before wants queue/…, object/…"],
    ['{"faults":{"rules":[{"target":"r2/*","kind":"before","rate":0}]}}', "faults.rules[0].rate is 0"],
    ['{"faults":{"rules":[{"target":"r2/*","kind":"delay","rate":1,"delayMs":-5}]}}', "faults.rules[0].delayMs is -5"],
  ])("%s is told: %s", (text, said) => {
    expect(() => parseChaos(text)).toThrow(said);
  });

  it("ends the start with one line, and the control with 400", async () => {
    const start = spawnSync(process.execPath, ["scripts/start.ts", "--no-demo"], {
      cwd: ROOT,
      encoding: "utf8",
      env: { ...process.env, EVENTPILE_CHAOS: '{"*":{"late":5}}' },
    });
    expect(start.status).toBe(1);
    expect(start.stderr.trim()).toBe(
      'eventpile: EVENTPILE_CHAOS cannot be used: * has a member "late" that nobody knows',
    );
    expect(await chaos("POST", { seed: 0.5 })).toEqual({
      status: 400,
      answer: { error: expect.stringContaining("0.5") },
    });
  });
});

it("no Worker that is deployed contains the injector, and every local one does", async () => {
  for (const { main, folder, config } of readWorkerSources()) {
    const options = { folder, name: config.name, alias: config.alias ?? {}, define: config.define ?? {} };
    const deployed = await bundleWorker({ ...options, entry: `export * from ${JSON.stringify(main)};` });
    const local = await bundleWorker({ ...options, entry: limitedEntry({ main, classes: [], isEdge: false }) });
    expect(String(local[0]!.contents)).toContain(MARKER);
    expect(String(deployed[0]!.contents)).not.toContain(MARKER);
  }
});
