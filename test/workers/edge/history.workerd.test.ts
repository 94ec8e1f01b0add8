import { env, reset, SELF } from "cloudflare:test";
import { ulid } from "ulidx";
import { afterEach, describe, expect, it } from "vitest";
import type { LakeCatalogApi, LakeHistoryApi } from "../../../durable-objects/lake-catalog/api.ts";
import { dataFileKey } from "../../../r2-layout/keys.ts";
import { CUT, RETENTION } from "../../../r2-layout/limits.ts";
import { TOKEN } from "./edge-config.ts";

afterEach(() => reset());

const lake = () =>
  (
    env as unknown as { LAKE_CATALOG: { getByName(name: string): LakeCatalogApi & LakeHistoryApi } }
  ).LAKE_CATALOG.getByName("lake");

interface Answer {
  readonly snapshots: { readonly time: string }[];
  readonly cuts: unknown[];
  readonly next: string | number | null;
}

async function call(method: string, path: string, token: string, body?: unknown) {
  const response = await SELF.fetch(`https://collect.example${path}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
    ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  return { status: response.status, json: (await response.json()) as Answer };
}
const get = (path: string, token: string = TOKEN.sql) => call("GET", path, token);
const post = (body: unknown, token: string = TOKEN.admin) => call("POST", "/v1/cuts", token, body);

const DAY_US = 86_400_000_000;

/** Commits of one file each, of a day that is over. */
async function fill(commits: number): Promise<void> {
  const { token, cursor } = (await lake().lease(0, "test", 60_000))!;
  const minTime = Math.floor(Date.now() / 86_400_000 - 1) * DAY_US;
  const day = new Date(minTime / 1_000).toISOString().slice(0, 10);
  for (let i = 0; i < commits; i++) {
    const key = dataFileKey({ table: "events", kind: "fresh", day, ulid: ulid() });
    const times = {
      minDay: day,
      maxDay: day,
      minTime,
      maxTime: minTime,
      minReceivedAt: minTime,
      maxReceivedAt: minTime,
    };
    const facts = { table: "events", bytes: 1, rows: 10, eventNames: ["page"], columns: {}, schemaVersion: 1 } as const;
    const applied = { events: 10, quarantined: 0 };
    const from = cursor + i;
    await lake().append({
      shard: 0,
      token,
      from,
      to: from + 1,
      applied,
      add: [{ ...facts, ...times, key, kind: "fresh" }],
    });
  }
}

describe("snapshots", () => {
  it("are listed newest first, page by page, for those who may ask in SQL", async () => {
    await fill(5);
    const first = await get("/v1/snapshots?limit=3");
    expect(first.json.snapshots).toMatchObject([
      { seq: 5, operation: "append", rows: { events: 50, quarantine: 0 }, files: 5 },
      { seq: 4 },
      { seq: 3 },
    ]);
    expect(first.json.snapshots[0]!.time).toMatch(/^\d{4}-\d\d-\d\dT/);
    const second = await get(`/v1/snapshots?limit=3&before=${first.json.next}`);
    expect(second.json).toMatchObject({ snapshots: [{ seq: 2 }, { seq: 1 }], next: null });
    expect((await get("/v1/snapshots", TOKEN.live)).status).toBe(403);
    expect((await get(`/v1/snapshots?limit=${RETENTION.snapshotsMax}`)).status).toBe(200);
    expect((await get(`/v1/snapshots?limit=${RETENTION.snapshotsMax + 1}`)).json).toMatchObject({
      reason: "bad_parameter",
      parameter: "limit",
    });
  });
});

describe("cuts", () => {
  it("are named at once by an administrator, once each, and read by their names", async () => {
    await fill(2);
    expect(await post({ name: "before-the-move" })).toMatchObject({
      status: 201,
      json: { as_of: "before-the-move.v1", state: "complete", snapshot: 2, through: null, missing: [], diff: null },
    });
    expect(await post({ name: "before-the-move" })).toMatchObject({ status: 409, json: { reason: "cut_exists" } });
    expect((await get("/v1/cuts")).json).toMatchObject({
      cuts: [{ as_of: "before-the-move.v1", missing: 0, expired_rows: 0 }],
      next: null,
    });
    expect((await get("/v1/cuts/before-the-move")).json).toMatchObject({ snapshot: 2, cursors: { 0: 2 } });
    expect((await get("/v1/cuts/before-the-move.v2")).status).toBe(404);
    expect((await post({ name: "x" }, TOKEN.sql)).status).toBe(403);
    expect((await get("/v1/cuts", TOKEN.support)).status).toBe(403);
  });

  it("of a day are begun on request, and made by maintenance", async () => {
    await fill(1);
    const today = new Date().toISOString().slice(0, 10);
    expect(await post({ day: today })).toMatchObject({ status: 202, json: { as_of: `${today}.v1`, phase: "mark" } });
    // Asked again while it is under way, it is the same one.
    expect(await post({ day: today })).toMatchObject({ status: 202, json: { version: 1 } });
    expect((await get("/v1/cuts")).json.cuts).toEqual([]);
  });

  it("are listed page by page", async () => {
    await fill(1);
    for (const name of ["a", "b", "c"]) await post({ name });
    const first = await get("/v1/cuts?limit=2");
    expect(first.json).toMatchObject({ cuts: [{ name: "c" }, { name: "b" }], next: "b.v1" });
    expect((await get("/v1/cuts?limit=2&before=b.v1")).json).toMatchObject({ cuts: [{ name: "a" }], next: null });
    expect((await get(`/v1/cuts?limit=${CUT.listMax}`)).status).toBe(200);
    expect((await get(`/v1/cuts?limit=${CUT.listMax + 1}`)).status).toBe(400);
  });

  it.each([
    [{}],
    [{ day: "2026-11-21", name: "both" }],
    [{ day: "21.11.2026" }],
    [{ day: "2026-02-30" }],
    [{ day: "2999-01-01" }],
    [{ day: 20261121 }],
    [{ name: "" }],
    [{ name: "2026" }],
    [{ name: "a.v2" }],
    [{ name: "a b" }],
    [{ name: "a".repeat(CUT.nameChars + 1) }],
    [{ days: "2026-11-21" }],
  ])("refuses %j", async (body) => {
    expect(await post(body)).toMatchObject({ status: 400, json: { reason: "bad_parameter" } });
  });

  it("takes a name of CUT.nameChars characters, and a body of CUT.bodyBytes bytes and not one more", async () => {
    const body = JSON.stringify({ name: "a".repeat(CUT.nameChars) });
    expect((await post(body.padEnd(CUT.bodyBytes))).status).toBe(201);
    expect(await post(body.padEnd(CUT.bodyBytes + 1))).toMatchObject({
      status: 413,
      json: { reason: "body_too_large" },
    });
  });
});
