import { env, SELF } from "cloudflare:test";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { EventLogApi, EventLogRedriveApi, EventLogRulesApi } from "../../../durable-objects/event-log/api.ts";
import type { LakeCatalogApi } from "../../../durable-objects/lake-catalog/api.ts";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import type { Hole, SinkCursorApi } from "../../../durable-objects/sink-cursor/api.ts";
import { park } from "../../../queues/dead-letter.ts";
import { fanOut } from "../../../queues/fan-out/fan-out.ts";
import type { LogStep } from "../../../queues/read-log.ts";
import { readLog } from "../../../queues/read-log.ts";
import { shardName } from "../../../r2-layout/keys.ts";
import { QUARANTINE } from "../../../r2-layout/limits.ts";
import { decodeSegmentLines, encodeSegment } from "../../../r2-layout/segment.ts";
import type { SinkName } from "../../../r2-layout/sinks.ts";
import { batchOf, bodyOf, lineOf } from "../../queues/log-rig.ts";
import { TOKEN } from "./edge-config.ts";
import { delivered } from "./edge-main.ts";

const bindings = env as unknown as {
  BUCKET: R2Bucket;
  EVENT_LOG: ObjectNamespace<EventLogApi & EventLogRedriveApi & EventLogRulesApi>;
  SINK_CURSOR: ObjectNamespace<SinkCursorApi>;
  LAKE_CATALOG: ObjectNamespace<LakeCatalogApi>;
};
const { BUCKET } = bindings;
const deps = { logs: bindings.EVENT_LOG, bucket: BUCKET };

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
});

const ORIGIN = "https://collect.example";
const call = (path: string, init: RequestInit = {}, token: string | null = TOKEN.admin) =>
  SELF.fetch(`${ORIGIN}${path}`, { ...init, headers: token ? { authorization: `Bearer ${token}` } : {} });
const post = (path: string, body?: unknown) =>
  call(path, { method: "POST", ...(body !== undefined && { body: JSON.stringify(body) }) });

interface Entry {
  id: string;
  kind: string;
  cause: string;
  detail: string;
  origin: Record<string, unknown>;
  bytes: number | null;
  events: number | null;
  at: string;
  attempts: number | null;
  state: string;
  redriven: unknown;
  body: { encoding: string; text: string; truncated: boolean } | null;
}

const list = async (query = "") =>
  (await (await call(`/v1/quarantine${query}`)).json()) as { entries: Entry[]; next: string | null; events: unknown };
const read = async (id: string) => (await (await call(`/v1/quarantine/${id}`)).json()) as Entry;

const DAY = Date.UTC(2026, 10, 22);
let minute = 0;
/** Each later than those before. */
const parkAt = (body: unknown, cause = "malformed_message", at = DAY + 60_000 * minute++) =>
  park(BUCKET, { queue: "events-0", messageId: `m${minute}`, body, cause, detail: "as found", attempts: 1 }, at);

let edges = 0;
async function fill(shard: number, events: readonly number[], quarantined: readonly number[] = []): Promise<number> {
  const edge = `edge-${edges++}`;
  const { batch } = batchOf("events-0", [bodyOf({ edge, n: 1, before: 0, events, shard, quarantined })]);
  await fanOut(batch, deps);
  return (await bindings.EVENT_LOG.getByName(shardName(shard)).status()).head;
}

const cursorOf = (sink: SinkName, shard: number) => bindings.SINK_CURSOR.getByName(`${sink}:${shardName(shard)}`);

/** What a drain leaves behind that gave up lines of this segment. */
async function leaveOut(sink: SinkName, shard: number, seq: number, hole: Partial<Hole>): Promise<string> {
  const { segments } = await bindings.EVENT_LOG.getByName(shardName(shard)).segments(seq - 1, 1);
  const whole: Hole = {
    seq,
    key: segments[0]!.key,
    lines: "all",
    of: segments[0]!.events,
    events: segments[0]!.events,
    quarantined: 0,
    cause: "step_refused",
    detail: "TypeError: no",
    ...hole,
  };
  const none = { events: 0, quarantined: 0 };
  if (sink === "lake") {
    const catalog = bindings.LAKE_CATALOG.getByName("lake");
    const { token, cursor } = (await catalog.lease(shard, "test", 60_000))!;
    if (cursor < seq - 1) await catalog.append({ shard, token, from: cursor, to: seq - 1, applied: none, add: [] });
    await catalog.decide(shard, token, seq - 1, whole);
    await catalog.append({ shard, token, from: seq - 1, to: seq, applied: none, add: [] });
  } else {
    const { token, cursor } = (await cursorOf(sink, shard).lease("test", 60_000))!;
    if (cursor < seq - 1) await cursorOf(sink, shard).advance(token, cursor, seq - 1, none);
    await cursorOf(sink, shard).decide(shard, token, seq - 1, whole);
    await cursorOf(sink, shard).advance(token, seq - 1, seq, none);
  }
  return `h.${sink}.${shardName(shard)}.${seq}`;
}

const numbersOf = (steps: readonly LogStep[]) =>
  steps.flatMap(({ events }) => events.map(({ properties }) => Number(properties?.number)));
const readFor = async (sink: SinkName, shard: number, after: number) =>
  numbersOf(await Array.fromAsync(readLog({ shard, after, to: 1_000 }, deps, { sink })));

describe("GET /v1/quarantine", () => {
  it("is for admins", async () => {
    expect((await call("/v1/quarantine", {}, null)).status).toBe(401);
    expect((await call("/v1/quarantine", {}, TOKEN.support)).status).toBe(403);
    expect((await call("/v1/quarantine/h.lake.000.1", {}, null)).status).toBe(401);
    expect((await call("/v1/quarantine/h.lake.000.1/redrive", { method: "POST" }, TOKEN.sql)).status).toBe(403);
  });

  it("lists messages and holes, newest first, page by page, each once, and says where quarantined events are", async () => {
    const keys = [];
    for (let i = 0; i < 5; i++) keys.push(await parkAt(`broken ${i}`));
    const seq = await fill(0, [1, 2]);
    const hole = await leaveOut("sessions", 0, seq, {});
    keys.push(await parkAt("broken tomorrow", "retries_exhausted", DAY + 26 * 3_600_000));
    const messages = keys.map((key) => `m.${Buffer.from(key).toString("base64url")}`).reverse();

    const whole = await list();
    // The hole is of now, the messages of a day that the test chose.
    const byTime = [...whole.entries].sort((a, b) => (a.at < b.at ? 1 : -1));
    expect(whole.entries).toEqual(byTime);
    expect(new Set(whole.entries.map(({ id }) => id))).toEqual(new Set([...messages, hole]));
    expect(whole.next).toBeNull();
    expect(whole.events).toMatchObject({ table: "quarantine", see: expect.stringContaining("from quarantine") });

    const paged: string[] = [];
    for (let query = "?limit=2"; ; ) {
      const { entries, next } = await list(query);
      expect(entries.length).toBeLessThanOrEqual(2);
      paged.push(...entries.map(({ id }) => id));
      if (!next) break;
      query = `?limit=2&cursor=${next}`;
    }
    expect(paged).toEqual(whole.entries.map(({ id }) => id));
    expect((await list("?kind=hole")).entries.map(({ id }) => id)).toEqual([hole]);
    expect((await list("?kind=message")).entries.map(({ id }) => id)).toEqual(messages);
    expect((await list("?state=redriven")).entries).toEqual([]);
    expect(whole.entries.find(({ id }) => id === messages.at(-1))).toEqual({
      id: messages.at(-1),
      kind: "message",
      cause: "malformed_message",
      detail: "as found",
      origin: { queue: "events-0", message_id: "m1", key: keys[0] },
      bytes: "broken 0".length,
      events: null,
      at: "2026-11-22T00:00:00.000Z",
      attempts: 1,
      state: "open",
      redriven: null,
    });
  });

  it.each([
    ["state", "closed"],
    ["kind", "event"],
    ["limit", "0"],
    ["limit", String(QUARANTINE.pageLimitMax + 1)],
    ["cursor", "made-up"],
  ])("refuses %s=%s by name", async (parameter, value) => {
    const response = await call(`/v1/quarantine?${parameter}=${value}`);
    expect([response.status, await response.json()]).toMatchObject([400, { reason: "bad_parameter", parameter }]);
  });

  it("takes the largest limit", async () => {
    expect((await call(`/v1/quarantine?limit=${QUARANTINE.pageLimitMax}`)).status).toBe(200);
  });

  it.each(["nonsense", "m.bm9uc2Vuc2U", "h.lake.000.0", "h.webhook.000.1", "h.lake.000.99", "h.lake.999.1"])(
    "knows no entry %s",
    async (id) => {
      for (const response of [await call(`/v1/quarantine/${id}`), await post(`/v1/quarantine/${id}/redrive`)]) {
        expect([response.status, await response.json()]).toMatchObject([404, { reason: "not_found" }]);
      }
    },
  );

  it("lists and reads keys of an earlier version", async () => {
    const key = "poison/2026-11-20/events-0/01KB0000000000000000000000.bin";
    await BUCKET.put(key, "old", { customMetadata: { cause: "malformed_message", detail: "", message: "m" } });
    const id = `m.${Buffer.from(key).toString("base64url")}`;
    expect((await list("?kind=message")).entries.at(-1)).toMatchObject({ id, attempts: null, events: null });
    expect(await read(id)).toMatchObject({ body: { text: "old" } });
  });
});

describe("an entry's bytes", () => {
  it("are shown as text where they are, else as base64, and whole as they are", async () => {
    const text = "é".repeat(QUARANTINE.previewBytes);
    const bytes = Uint8Array.of(0xff, 0xfe, 0x00);
    const [long, binary] = [await parkAt(`x${text}`), await parkAt(bytes)];
    const [longId, binaryId] = [long, binary].map((key) => `m.${Buffer.from(key).toString("base64url")}`);
    // 16 KiB end within a character: it is left out.
    expect((await read(longId!)).body).toEqual({
      encoding: "utf8",
      text: `x${"é".repeat(QUARANTINE.previewBytes / 2 - 1)}`,
      truncated: true,
    });
    expect((await read(binaryId!)).body).toEqual({ encoding: "base64", text: "//4A", truncated: false });
    const raw = await call(`/v1/quarantine/${binaryId}?raw=1`);
    expect(new Uint8Array(await raw.arrayBuffer())).toEqual(bytes);
    expect(raw.headers.get("content-disposition")).toBe("attachment");
    expect(raw.headers.get("x-content-type-options")).toBe("nosniff");
  });

  it("of a hole are its lines, of a segment that is no gzip the object, of one that is missing none", async () => {
    const seq = await fill(1, [1, 2, 3]);
    const id = await leaveOut("sessions", 1, seq, { lines: [1], events: 1, cause: "line_damaged" });
    expect(await read(id)).toMatchObject({ events: 1, body: { encoding: "utf8", text: `${lineOf(2)}\n` } });
    const { key } = (await read(id)).origin as { key: string };
    await BUCKET.put(key, "no gzip at all");
    expect(await read(id)).toMatchObject({ body: { text: "no gzip at all" } });
    await BUCKET.delete(key);
    expect(await read(id)).toMatchObject({ body: null, bytes: null });
    expect((await call(`/v1/quarantine/${id}?raw=1`)).status).toBe(404);
  });
});

describe("POST /v1/quarantine/{id}/redrive", () => {
  const idOf = (key: string) => `m.${Buffer.from(key).toString("base64url")}`;

  it("refuses a message while it would fail again, and sends it once it is mended, once", async () => {
    const id = idOf(await parkAt("nonsense"));
    const refused = await post(`/v1/quarantine/${id}/redrive`);
    expect([refused.status, await refused.json()]).toMatchObject([
      422,
      { reason: "still_refused", cause: "malformed_message", detail: expect.any(String) },
    ]);
    expect((await read(id)).state).toBe("open");

    const body = bodyOf({ edge: "mended", n: 1, before: 0, events: [70], shard: 1 });
    delivered.length = 0;
    const sent = await post(`/v1/quarantine/${id}/redrive`, { body });
    expect([sent.status, await sent.json()]).toMatchObject([
      200,
      { state: "redriven", redriven: { at: expect.any(String) } },
    ]);
    expect((await post(`/v1/quarantine/${id}/redrive`, { body })).status).toBe(200);
    await vi.waitFor(() => expect(delivered).toEqual([body]), { timeout: 5_000 });
    // Never lost: the bytes are there as they came.
    expect(await read(id)).toMatchObject({ state: "redriven", body: { text: "nonsense" } });
    expect((await list("?kind=message&state=redriven")).entries.map((entry) => entry.id)).toContain(id);
    expect((await list("?kind=message")).entries.map((entry) => entry.id)).not.toContain(id);
  });

  it.each([
    ["a shard that there is not", bodyOf({ edge: "e", n: 1, before: 0, events: [1], shard: 7 }), "unknown_shard"],
    [
      "more than a queue takes",
      bodyOf({ edge: "x".repeat(128_000), n: 1, before: 0, events: [1] }),
      "message_too_large",
    ],
  ])("refuses a message for %s", async (_name, body, cause) => {
    const response = await post(`/v1/quarantine/${idOf(await parkAt(body))}/redrive`);
    expect([response.status, await response.json()]).toMatchObject([422, { reason: "still_refused", cause }]);
  });

  it.each(["sessions", "lake"] as const)(
    "brings a hole of %s back as a segment for that sink alone, once",
    async (sink) => {
      const shard = sink === "lake" ? 0 : 1;
      const seq = await fill(shard, [100, 101, 102]);
      const id = await leaveOut(sink, shard, seq, { lines: [0, 2], events: 2 });
      const answer = await post(`/v1/quarantine/${id}/redrive`);
      const done = (await answer.json()) as { redriven: { seq: number } };
      expect([answer.status, done]).toMatchObject([200, { kind: "hole", state: "redriven" }]);
      expect(await (await post(`/v1/quarantine/${id}/redrive`)).json()).toEqual(done);
      expect(done.redriven.seq).toBeGreaterThan(seq);
      expect(await read(id)).toMatchObject({ state: "redriven", redriven: done.redriven });
      expect(await readFor(sink, shard, seq)).toEqual([100, 102]);
      expect(await readFor("rollups", shard, seq)).toEqual([]);
      // Who reads the log from the start for that sink has them once.
      expect((await readFor(sink, shard, seq - 1)).sort()).toEqual([100, 101, 102]);
    },
  );

  it("promise 2: cut off between the log's commit and the closing, commits nothing twice", async () => {
    const seq = await fill(1, [200]);
    const id = await leaveOut("rollups", 1, seq, {});
    const log = bindings.EVENT_LOG.getByName("001");
    const body = encodeSegment([lineOf(200)]);
    const key = "log/dt=2026-11-22/shard=001/01KB0000000000000000000200.ndjson.gz";
    await BUCKET.put(key, body);
    const times = { minReceivedAt: 1, maxReceivedAt: 1, writtenAt: Date.now() };
    const segment = { key, bytes: body.length, events: 1, quarantined: 0, ...times };
    const origins = [{ seq, lines: "all" as const, quarantined: 0 }];
    const first = await log.redrive({ id: `hole:rollups:1:${seq}`, segment, origins, sinks: ["rollups"] });
    const { head } = await log.status();
    const again = (await (await post(`/v1/quarantine/${id}/redrive`)).json()) as { redriven: { seq: number } };
    expect(first).toEqual({ kind: "committed", seq: again.redriven.seq });
    expect((await log.status()).head).toBe(head);
    expect(await readFor("rollups", 1, seq)).toEqual([200]);
  });

  it("refuses a hole whose lines still cannot be read, and takes mended ones in their place", async () => {
    const seq = await fill(0, [300, 301]);
    const { segments } = await bindings.EVENT_LOG.getByName("000").segments(seq - 1, 1);
    const { key } = segments[0]!;
    const lines = decodeSegmentLines(new Uint8Array(await (await BUCKET.get(key))!.arrayBuffer()));
    await BUCKET.put(key, encodeSegment(lines.with(1, "{")));
    const id = await leaveOut("sessions", 0, seq, { lines: [1], events: 1, cause: "line_damaged" });
    const reason = async (body?: unknown) => {
      const response = await post(`/v1/quarantine/${id}/redrive`, body);
      return [response.status, ((await response.json()) as { cause?: string }).cause];
    };
    expect(await reason()).toEqual([422, "line_damaged"]);
    expect(await reason({ body: `${lineOf(301)}\n${lineOf(302)}` })).toEqual([422, "line_count"]);
    expect(await reason({ body: lineOf(301, true) })).toEqual([422, "line_count"]);
    expect(await reason({ body: "nonsense" })).toEqual([422, "line_damaged"]);
    await BUCKET.delete(key);
    expect(await reason()).toEqual([422, "segment_missing"]);
    expect(await reason({ body: lineOf(301) })).toEqual([200, undefined]);
    expect(await readFor("sessions", 0, seq)).toEqual([301]);
  });

  it("names what is wrong with its own body", async () => {
    const id = idOf(await parkAt("nonsense"));
    for (const body of [{ body: 5 }, { text: "x" }]) {
      const response = await post(`/v1/quarantine/${id}/redrive`, body);
      expect([response.status, await response.json()]).toMatchObject([400, { reason: "bad_parameter" }]);
    }
  });
});
