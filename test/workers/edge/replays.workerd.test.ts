import { env, SELF } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { ReplayDeskApi } from "../../../durable-objects/replay-desk/api.ts";
import { REPLAY, RULE } from "../../../r2-layout/limits.ts";
import { PREVIEWED } from "./correction-lake.ts";
import { SHARDS, TOKEN } from "./edge-config.ts";

const ORIGIN = "https://collect.example";
const desk = (env as unknown as { REPLAY_DESK: { getByName(name: string): ReplayDeskApi } }).REPLAY_DESK.getByName(
  "desk",
);

interface Answer {
  readonly status: number;
  readonly json: Record<string, unknown>;
}

async function call(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await SELF.fetch(`${ORIGIN}${path}`, {
    method,
    headers: { authorization: `Bearer ${TOKEN.admin}`, ...headers },
    ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  return { status: response.status, json: (await response.json()) as Answer["json"] };
}
const post = (path: string, body: unknown = {}, headers?: Record<string, string>) => call("POST", path, body, headers);
const get = (path: string) => call("GET", path);

/** Ends what an example began, so that its sinks are free for the next. */
async function ended(id: unknown): Promise<void> {
  await desk.act(String(id), "cancel");
  const lease = await desk.lease(String(id), "test", 60_000);
  if (lease) await desk.release(String(id), lease.token, { kind: "state", from: "cancelling", state: "cancelled" });
}

const FILTER = { where: { anonymous_id: ["wrong"] } };
const RIGHT = { set: { anonymous_id: "right" } };

describe("POST /v1/replays", () => {
  it("makes a job that is seen by its id and in the list, and can be cancelled", async () => {
    const { status, json } = await post("/v1/replays", {
      sinks: ["rollups", "lake"],
      mode: "rebuild",
      from: "2026-11-22T05:00:00Z",
      to: 1_795_338_000_000,
      rate: 500,
      swap: "manual",
    });
    expect(status).toBe(202);
    expect(json).toMatchObject({
      kind: "rebuild",
      state: "running",
      sinks: ["lake", "rollups"],
      from: "2026-11-22T05:00:00.000Z",
      to: "2026-11-22T09:00:00.000Z",
      shard: null,
      rate: 500,
      swap: "manual",
      progress: { events: 0, total: null, events_per_second: 0, eta_seconds: null },
      comparison: null,
      error: null,
    });
    expect((await get(`/v1/replays/${json.id}`)).json).toEqual(json);
    const list = (await get("/v1/replays?limit=1")).json as { replays: unknown[]; settled: unknown };
    expect(list).toMatchObject({ replays: [{ id: json.id }], settled: [], next: null });
    expect(await call("DELETE", `/v1/replays/${json.id}`)).toMatchObject({
      status: 202,
      json: { state: "cancelling" },
    });
    await ended(json.id);
  });

  const REFUSED: readonly (readonly [unknown, string, string?])[] = [
    [{}, "bad_parameter", "sinks"],
    [{ sinks: [] }, "bad_parameter", "sinks"],
    [{ sinks: "lake" }, "bad_parameter", "sinks"],
    [{ sinks: ["lake", "fraud"] }, "bad_parameter", "sinks"],
    [{ sinks: ["lake"], mode: "undo" }, "bad_parameter", "mode"],
    [{ sinks: ["lake"], mode: "rebuild", swap: "later" }, "bad_parameter", "swap"],
    [{ sinks: ["lake"], swap: "manual" }, "bad_parameter", "swap"],
    [{ sinks: ["lake"], from: "yesterday" }, "bad_parameter", "from"],
    [{ sinks: ["lake"], from: "2026-11-22", to: "2026-11-22" }, "bad_parameter", "to"],
    [{ sinks: ["lake"], from: "2026-11-22", shard: 0, from_seq: 1, to_seq: 2 }, "bad_parameter", "shard"],
    [{ sinks: ["lake"], shard: SHARDS, from_seq: 1, to_seq: 2 }, "bad_parameter", "shard"],
    [{ sinks: ["lake"], shard: 0, from_seq: 0, to_seq: 2 }, "bad_parameter", "from_seq"],
    [{ sinks: ["lake"], shard: 0, from_seq: 3, to_seq: 2 }, "bad_parameter", "to_seq"],
    [{ sinks: ["rollups"], mode: "rebuild", shard: 0, from_seq: 1, to_seq: 2 }, "bad_parameter", "sinks"],
    [{ sinks: ["lake"], rate: 0 }, "bad_parameter", "rate"],
    [{ sinks: ["lake"], rate: REPLAY.rateMax + 1 }, "bad_parameter", "rate"],
    [{ sinks: ["lake"], dry_run: true }, "bad_parameter", "dry_run"],
    ["[1]", "bad_json"],
    ["{", "bad_json"],
  ];
  it.each(REFUSED)("refuses %j: %s %s", async (body, reason, parameter) => {
    const { status, json } = await post("/v1/replays", body);
    expect([status, json.reason]).toEqual([400, reason]);
    if (parameter) expect(json).toMatchObject({ parameter, detail: expect.any(String) });
  });

  it("promise 9: takes a rate up to its limit, and a body up to its limit", async () => {
    const most = await post("/v1/replays", { sinks: ["sessions"], rate: REPLAY.rateMax });
    expect(most.status).toBe(202);
    await ended(most.json.id);
    const padded = (bytes: number) => `${" ".repeat(bytes - 2)}{}`;
    expect((await post("/v1/replays", padded(REPLAY.bodyBytes))).json.reason).toBe("bad_parameter");
    expect(await post("/v1/replays", padded(REPLAY.bodyBytes + 1))).toMatchObject({
      status: 413,
      json: { reason: "body_too_large", limit_bytes: REPLAY.bodyBytes },
    });
  });

  it("refuses a second replay of a sink while one is open, and names it", async () => {
    const { json } = await post("/v1/replays", { sinks: ["sessions"] });
    const second = await post("/v1/replays", { sinks: ["lake", "sessions"], mode: "rebuild" });
    expect(second).toMatchObject({ status: 409, json: { reason: "sink_is_busy", job: json.id } });
    await ended(json.id);
  });

  it("is one job for one Idempotency-Key, and refuses the key for another request", async () => {
    const headers = { "idempotency-key": "k1" };
    const first = await post("/v1/replays", { sinks: ["lake"] }, headers);
    expect(await post("/v1/replays", { sinks: ["lake"] }, headers)).toMatchObject({
      status: 200,
      json: { id: first.json.id },
    });
    const other = await post("/v1/replays", { sinks: ["rollups"] }, headers);
    expect(other).toMatchObject({ status: 409, json: { reason: "idempotency_mismatch", job: first.json.id } });
    const long = await post("/v1/replays", { sinks: ["lake"] }, { "idempotency-key": "k".repeat(REPLAY.keyChars + 1) });
    expect(long).toMatchObject({ status: 400, json: { parameter: "Idempotency-Key" } });
    await ended(first.json.id);
    const longest = await post("/v1/replays", { sinks: ["lake"] }, { "idempotency-key": "k".repeat(REPLAY.keyChars) });
    expect(longest.status).toBe(202);
    await ended(longest.json.id);
  });

  it("promise 9: lists at most as many as one answer holds", async () => {
    expect((await get(`/v1/replays?limit=${REPLAY.jobsListedMax}`)).status).toBe(200);
    expect((await get(`/v1/replays?limit=${REPLAY.jobsListedMax + 1}`)).json).toMatchObject({ parameter: "limit" });
  });

  it.each(["replays", "corrections"])(
    "gives %s page by page, each once, newest first, whatever is made meanwhile",
    async (list) => {
      const make = async () => {
        const [first, second] = [
          await post("/v1/audits"),
          await post("/v1/corrections", { filter: FILTER, change: RIGHT }),
        ];
        for (const { json } of [first, second]) await ended(json.id);
        return [second.json.id, ...(list === "replays" ? [first.json.id] : [])];
      };
      const made = [await make(), await make(), await make()].toReversed().flat();
      const seen: unknown[] = [];
      let path = `/v1/${list}?limit=2`;
      for (let page = 0; page < made.length / 2; page++) {
        const { json } = await get(path);
        const jobs = json[list] as { id: string; actions: string[] }[];
        expect(jobs.map(({ actions }) => actions)).toEqual(jobs.map(() => []));
        seen.push(...jobs.map(({ id }) => id));
        path = `/v1/${list}?limit=2&cursor=${json.next}`;
        await make();
      }
      expect(seen.slice(0, made.length)).toEqual(made);
      expect((await get(`/v1/${list}?limit=${REPLAY.jobsListedMax}`)).json.next).toBeNull();
      expect((await get(`/v1/${list}?cursor=1`)).json).toMatchObject({ [list]: [], next: null });
      expect((await get(`/v1/${list}?cursor=-1`)).json).toMatchObject({ parameter: "cursor" });
    },
  );

  it("says why an action is not for the job's state, and does not know other ids and actions", async () => {
    const { json } = await post("/v1/replays", { sinks: ["lake"], mode: "rebuild" });
    expect(json.actions).toEqual(["cancel"]);
    for (const action of ["confirm", "revert", "swap", "resume", "leave_out", "abandon"]) {
      const { status, json: refused } = await post(`/v1/replays/${json.id}/${action}`);
      expect([action, status, refused.reason]).toEqual([action, 409, "job_refuses"]);
      expect(refused).toMatchObject({ state: "running", detail: expect.any(String) });
    }
    expect((await post(`/v1/replays/${json.id}/explode`)).status).toBe(404);
    expect((await post("/v1/replays/nobody/cancel")).status).toBe(404);
    expect((await get("/v1/replays/nobody")).status).toBe(404);
    await ended(json.id);
  });
});

describe("POST /v1/corrections", () => {
  it("counts and shows what would change, and does nothing until it is confirmed", async () => {
    const { status, json } = await post("/v1/corrections", { filter: FILTER, change: RIGHT, note: "build 41" });
    expect(status).toBe(202);
    expect(json).toMatchObject({
      kind: "correction",
      state: "preview",
      count: 2,
      as_of: 7,
      note: "build 41",
      rules: null,
    });
    const samples = json.samples as { before: object; after: object }[];
    expect(samples[0]).toMatchObject({ before: PREVIEWED, after: { ...PREVIEWED, anonymous_id: "right" } });
    expect(samples[1]!.before).not.toHaveProperty("properties");
    expect(await desk.lease(String(json.id), "test", 1)).toBeNull();
    expect((await get(`/v1/corrections/${json.id}`)).json).toEqual(json);
    expect(((await get("/v1/corrections?limit=1")).json.corrections as { id: string }[])[0]!.id).toBe(json.id);
    expect(await post(`/v1/corrections/${json.id}/confirm`)).toMatchObject({ status: 202, json: { state: "running" } });
    await ended(json.id);
  });

  it("can be cancelled before it is confirmed, and then no longer be confirmed", async () => {
    const { json } = await post("/v1/corrections", { filter: FILTER, change: { retract: true } });
    expect(await post(`/v1/corrections/${json.id}/cancel`)).toMatchObject({
      status: 202,
      json: { state: "cancelled" },
    });
    expect(await post(`/v1/corrections/${json.id}/confirm`)).toMatchObject({ status: 409 });
  });

  it("takes a map by column and values, and says what it makes of a sample", async () => {
    const map = { column: "anonymous_id", values: { wrong: "right", right: "wrong" } };
    const { json } = await post("/v1/corrections", { filter: { from: "2026-11-22T04:00:00Z" }, change: { map } });
    expect((json.samples as { after: object }[])[0]!.after).toMatchObject({ anonymous_id: "right" });
    expect((json.filter as { from: number }).from).toBe(Date.UTC(2026, 10, 22, 4) * 1_000);
    await ended(json.id);
  });

  it("is known by one address of its kind only", async () => {
    const { json } = await post("/v1/replays", { sinks: ["lake"] });
    expect((await get(`/v1/corrections/${json.id}`)).status).toBe(404);
    expect((await post(`/v1/corrections/${json.id}/cancel`)).status).toBe(404);
    await ended(json.id);
  });

  const REFUSED: readonly (readonly [unknown, string, string])[] = [
    [{ change: RIGHT }, "bad_parameter", "filter"],
    [{ filter: {}, change: RIGHT }, "bad_parameter", "filter"],
    [{ filter: { where: { colour: ["red"] } }, change: RIGHT }, "bad_parameter", "filter.where.colour"],
    [{ filter: { from: "soon" }, change: RIGHT }, "bad_parameter", "filter.from"],
    [{ filter: { from: 2e15, to: 1e15 }, change: RIGHT }, "bad_parameter", "filter.to"],
    [{ filter: FILTER }, "bad_parameter", "change"],
    [{ filter: FILTER, change: {} }, "bad_parameter", "change"],
    [{ filter: FILTER, change: { ...RIGHT, retract: true } }, "bad_parameter", "change"],
    [{ filter: FILTER, change: { retract: false } }, "bad_parameter", "change.retract"],
    [{ filter: FILTER, change: { set: { event_id: "x" } } }, "bad_parameter", "change.values.event_id"],
    [{ filter: FILTER, change: { map: { field: "country" } } }, "bad_parameter", "change.map.field"],
    [{ filter: FILTER, change: RIGHT, note: 7 }, "bad_parameter", "note"],
    [{ filter: FILTER, change: RIGHT, note: "n".repeat(REPLAY.noteChars + 1) }, "bad_parameter", "note"],
    [{ filter: FILTER, change: RIGHT, rate: "fast" }, "bad_parameter", "rate"],
    [{ filter: FILTER, change: RIGHT, sinks: ["lake"] }, "bad_parameter", "sinks"],
  ];
  it.each(REFUSED)("refuses %j: %s %s", async (body, reason, parameter) => {
    const { status, json } = await post("/v1/corrections", body);
    expect([status, json.reason, json.parameter]).toEqual([400, reason, parameter]);
  });

  it("refuses what cannot be counted, and says to come again where the counting is away", async () => {
    const where = (country: string) => ({ filter: { where: { country: [country] } }, change: RIGHT });
    expect(await post("/v1/corrections", where("refused"))).toMatchObject({
      status: 422,
      json: { reason: "not_countable", detail: "Too much: narrow event_time" },
    });
    expect(await post("/v1/corrections", where("down"))).toMatchObject({ status: 503 });
    const none = await post("/v1/corrections", where("nowhere"));
    expect(none.json).toMatchObject({ count: 0, samples: [] });
    await ended(none.json.id);
  });

  it("is counted once for one Idempotency-Key", async () => {
    const headers = { "idempotency-key": "c1" };
    const body = { filter: FILTER, change: RIGHT, note: "n".repeat(REPLAY.noteChars) };
    const first = await post("/v1/corrections", body, headers);
    expect(await post("/v1/corrections", body, headers)).toMatchObject({ status: 200, json: { id: first.json.id } });
    const other = await post("/v1/corrections", { ...body, change: { retract: true } }, headers);
    expect(other).toMatchObject({ status: 409, json: { reason: "idempotency_mismatch" } });
    await ended(first.json.id);
  });

  it("promise 9: takes as many mapped values as a rule may have, and no more", async () => {
    const map = (size: number) => ({
      column: "country",
      values: Object.fromEntries(Array.from({ length: size }, (_, i) => [`c${i}`, "DE"])),
    });
    const most = await post("/v1/corrections", { filter: FILTER, change: { map: map(RULE.mapped) } });
    expect(most.status).toBe(202);
    await ended(most.json.id);
    expect((await post("/v1/corrections", { filter: FILTER, change: { map: map(RULE.mapped + 1) } })).status).toBe(400);
  });
});

describe("POST /v1/audits", () => {
  it("audits today and yesterday, or the days it is told", async () => {
    const day = (back: number) => new Date(Date.now() - back * 86_400_000).toISOString().slice(0, 10);
    const { status, json } = await post("/v1/audits");
    expect([status, json.kind, json.days]).toEqual([202, "audit", [day(1), day(0)]]);
    await ended(json.id);
    const told = await post("/v1/audits", { days: ["2026-11-20", "2026-11-19", "2026-11-20"] });
    expect(told.json.days).toEqual(["2026-11-19", "2026-11-20"]);
    await ended(told.json.id);
  });

  it.each([[["today"]], [[]], ["2026-11-20"], [[7]], [["2026-13-01"]]])("refuses the days %j", async (days) => {
    expect(await post("/v1/audits", { days })).toMatchObject({ status: 400, json: { parameter: "days" } });
  });

  it(`promise 9: takes ${REPLAY.auditDays} days at most`, async () => {
    const days = (count: number) =>
      Array.from({ length: count }, (_, i) => new Date(Date.UTC(2026, 9, 1 + i)).toISOString().slice(0, 10));
    const most = await post("/v1/audits", { days: days(REPLAY.auditDays) });
    expect(most.status).toBe(202);
    await ended(most.json.id);
    expect((await post("/v1/audits", { days: days(REPLAY.auditDays + 1) })).status).toBe(400);
  });
});

it.each([
  ["POST", "/v1/replays"],
  ["GET", "/v1/replays"],
  ["GET", "/v1/replays/r"],
  ["DELETE", "/v1/replays/r"],
  ["POST", "/v1/replays/r/confirm"],
  ["POST", "/v1/corrections"],
  ["GET", "/v1/corrections"],
  ["POST", "/v1/corrections/c/confirm"],
  ["POST", "/v1/corrections/c/abandon"],
  ["POST", "/v1/audits"],
])("%s %s is for the admin scope alone", async (method, path) => {
  for (const [token, reason] of [
    [TOKEN.sql, "missing_scope"],
    [TOKEN.support, "missing_scope"],
    ["made-up", "unknown_token"],
  ] as const) {
    expect((await call(method, path, undefined, { authorization: `Bearer ${token}` })).json.reason).toBe(reason);
  }
});

it("shows open jobs and what was settled to Prometheus", async () => {
  const { json } = await post("/v1/replays", { sinks: ["lake"] });
  const text = await (
    await SELF.fetch(`${ORIGIN}/metrics`, { headers: { authorization: `Bearer ${TOKEN.admin}` } })
  ).text();
  expect(text).toContain('eventpile_jobs{kind="fill",state="running"} 1');
  expect(text).toContain(`eventpile_job_events_read{job="${json.id}",kind="fill",state="running"} 0`);
  expect(text).toContain("eventpile_rule_version 0");
  await ended(json.id);
});
