import { env, SELF } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { ReplayDeskApi } from "../../../durable-objects/replay-desk/api.ts";
import { PREVIEW_OBJECT, SUBJECTS_OBJECT } from "../../../queues/erasure/erasure-objects.ts";
import { JobStore } from "../../../queues/replay/job-store.ts";
import { jobKey, receiptKeyName, receiptName } from "../../../r2-layout/keys.ts";
import { ERASURE } from "../../../r2-layout/limits.ts";
import { TOKEN } from "./edge-config.ts";

const ORIGIN = "https://collect.example";
const { BUCKET, REPLAY_DESK } = env as unknown as {
  BUCKET: R2Bucket;
  REPLAY_DESK: { getByName(name: string): ReplayDeskApi };
};
const desk = REPLAY_DESK.getByName("desk");

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await SELF.fetch(`${ORIGIN}${path}`, {
    method,
    headers: { authorization: `Bearer ${TOKEN.admin}`, ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: response.status, json: (await response.json()) as Record<string, unknown> & { id: string } };
}
const post = (path: string, body: unknown = {}, headers?: Record<string, string>) => call("POST", path, body, headers);
const get = (path: string) => call("GET", path);
const asked = async (body: unknown) => {
  const { status, json } = await post("/v1/erasures", body);
  expect(status).toBe(201);
  return json.id;
};
const has = async (key: string) => (await BUCKET.head(key)) !== null;

describe("POST /v1/erasures", () => {
  it("shows whom it is about before anything is erased, and keeps names out of the desk", async () => {
    const { status, json } = await post("/v1/erasures", {
      ...{ user_ids: ["ann", "ann"], anonymous_ids: ["phone-1"], emails: ["  Ann@Example.com "] },
      mode: "erase",
    });
    expect(status).toBe(201);
    expect(json).toMatchObject({
      ...{ state: "preview", mode: "erase", identifiers: 3, overdue: false, stores: [], receipt: null },
      asked: { user_ids: ["ann"], anonymous_ids: ["phone-1"], emails: ["ann@example.com"] },
      closure: { links: [] },
      actions: ["confirm", "cancel"],
    });
    expect((await get(`/v1/erasures/${json.id}`)).json).toEqual(json);
    const job = JSON.stringify(await desk.job(json.id));
    for (const name of ["ann", "phone-1"]) expect(job).not.toContain(name);
    expect((await get("/v1/erasures?limit=1")).json).toMatchObject({ erasures: [{ id: json.id }], check: null });
    expect((await get("/v1/replays?limit=1")).status).toBe(200);
  });

  it.each([
    [{}, "user_ids"],
    [{ user_ids: [] }, "user_ids"],
    [{ user_ids: "ann" }, "user_ids"],
    [{ user_ids: [""] }, "user_ids[0]"],
    [{ user_ids: ["ann", 7] }, "user_ids[1]"],
    [{ emails: ["nobody"] }, "emails[0]"],
    [{ user_ids: ["ann"], mode: "forget" }, "mode"],
    [{ user_ids: ["ann"], now: true }, "now"],
  ])("refuses %j by naming %s", async (body, parameter) => {
    expect(await post("/v1/erasures", body)).toMatchObject({
      status: 400,
      json: { reason: "bad_parameter", parameter },
    });
  });

  it("refuses a body that is too large before it is read", async () => {
    expect(await post("/v1/erasures", { user_ids: ["x".repeat(ERASURE.bodyBytes)] })).toMatchObject({
      status: 413,
      json: { reason: "body_too_large" },
    });
  });

  it("is one request for one Idempotency-Key, whoever it is about", async () => {
    const key = { "idempotency-key": "once" };
    const first = await post("/v1/erasures", { user_ids: ["bea"] }, key);
    expect(await post("/v1/erasures", { user_ids: ["bea"] }, key)).toMatchObject({
      status: 200,
      json: { id: first.json.id },
    });
    expect(await post("/v1/erasures", { user_ids: ["cid"] }, key)).toMatchObject({
      status: 409,
      json: { reason: "idempotency_mismatch" },
    });
  });

  it("is for administrators", async () => {
    const headers = { authorization: `Bearer ${TOKEN.support}` };
    expect((await post("/v1/erasures", { user_ids: ["ann"] }, headers)).status).toBe(403);
  });
});

describe("an erasure's confirmation", () => {
  it("says whom it is about, once: with others it is refused, and again it changes nothing", async () => {
    const id = await asked({ user_ids: ["dan", "eve"] });
    const path = `/v1/erasures/${id}/confirm`;
    expect(await post(path, { exclude: { user_ids: ["dan", "eve"] } })).toMatchObject({
      status: 400,
      json: { parameter: "exclude" },
    });
    expect(await post(path, { exclude: { user_ids: ["eve"] } })).toMatchObject({
      status: 202,
      json: { state: "running", stage: "begin" },
    });
    expect(await new JobStore(BUCKET, id).get(SUBJECTS_OBJECT)).toEqual([{ kind: "user", id: "dan" }]);
    expect((await post(path)).status).toBe(409);
    expect(await new JobStore(BUCKET, id).get(SUBJECTS_OBJECT)).toEqual([{ kind: "user", id: "dan" }]);
    // Whom it is about is nobody's to look up any more.
    expect((await get(`/v1/erasures/${id}`)).json).toMatchObject({ asked: { user_ids: [] }, closure: null });
  });

  it("promise 7: of two at once with other exclusions one is refused, and the list is the other's", async () => {
    const id = await asked({ user_ids: ["kim", "lea"] });
    const path = `/v1/erasures/${id}/confirm`;
    const names = ["kim", "lea"];
    const answers = await Promise.all(names.map((name) => post(path, { exclude: { user_ids: [name] } })));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([202, 409]);
    const left = names[1 - answers.findIndex(({ status }) => status === 202)];
    expect(await new JobStore(BUCKET, id).get(SUBJECTS_OBJECT)).toEqual([{ kind: "user", id: left }]);
  });

  it("is refused with other exclusions than those of a confirmation that came to nothing", async () => {
    const id = await asked({ user_ids: ["fay", "gil"] });
    await new JobStore(BUCKET, id).put(SUBJECTS_OBJECT, [{ kind: "user", id: "fay" }]);
    expect(await post(`/v1/erasures/${id}/confirm`)).toMatchObject({ status: 409, json: { reason: "job_refuses" } });
    expect((await post(`/v1/erasures/${id}/confirm`, { exclude: { user_ids: ["gil"] } })).status).toBe(202);
  });
});

describe("an erasure that is not wanted", () => {
  it("is deleted before its confirmation, with every name", async () => {
    const id = await asked({ user_ids: ["hal"] });
    expect(await has(jobKey(id, PREVIEW_OBJECT))).toBe(true);
    expect(await call("DELETE", `/v1/erasures/${id}`)).toMatchObject({ status: 202, json: { state: "cancelled" } });
    expect(await has(jobKey(id, PREVIEW_OBJECT))).toBe(false);
    expect((await post(`/v1/erasures/${id}/confirm`)).status).toBe(409);
  });
});

describe("an erasure's receipt", () => {
  it("is there once it is done, with the keys that receipts were signed with", async () => {
    const id = await asked({ user_ids: ["ida"] });
    expect(await get(`/v1/erasures/${id}/receipt`)).toMatchObject({ status: 409, json: { state: "preview" } });
    await post(`/v1/erasures/${id}/confirm`);
    const lease = await desk.lease(id, "test", 60_000);
    await BUCKET.put(receiptName(id), JSON.stringify({ receipt: { id } }));
    await BUCKET.put(receiptKeyName("k1"), JSON.stringify({ id: "k1", public: "AAAA" }));
    await desk.release(id, lease!.token, { kind: "state", from: "running", state: "done" });
    expect((await get(`/v1/erasures/${id}`)).json).toMatchObject({
      state: "done",
      receipt: `/v1/erasures/${id}/receipt`,
    });
    expect((await get(`/v1/erasures/${id}/receipt`)).json).toEqual({ receipt: { id } });
    expect((await get("/v1/erasures/key")).json).toEqual({
      algorithm: "Ed25519",
      keys: [{ id: "k1", public: "AAAA" }],
    });
    expect((await get("/v1/erasures/no-such/receipt")).status).toBe(404);
  });
});
