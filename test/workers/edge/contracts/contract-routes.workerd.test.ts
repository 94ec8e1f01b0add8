import { reset, SELF } from "cloudflare:test";
import { afterEach, describe, expect, it } from "vitest";
import { CONTRACT } from "../../../../r2-layout/limits.ts";
import { TOKEN } from "../edge-config.ts";

const ORIGIN = "https://collect.example";
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

afterEach(() => reset());

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

async function ask(method: string, path: string, body?: unknown, token: string = TOKEN.admin): Promise<Answer> {
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const init = { method, headers: bearer(token), ...(text !== undefined && { body: text }) };
  const response = await SELF.fetch(`${ORIGIN}${path}`, init);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const contract = (version: number, properties: Record<string, unknown>, more: Record<string, unknown> = {}) => ({
  $schema: "https://json-schema.org/draft/2020-12/schema",
  "x-event": "Signed up",
  "x-version": version,
  "x-owner": "growth@example.com",
  description: "A person has an account from now on.",
  type: "object",
  additionalProperties: false,
  properties,
  ...more,
});
const PLAN = { plan: { type: "string" } };
const push = (document: unknown, query = "") => ask("POST", `/v1/contracts${query}`, document);

describe("POST /v1/contracts", () => {
  it("registers a version, and once: the same document again changes nothing", async () => {
    const first = await push(contract(1, PLAN));
    expect(first).toMatchObject({ status: 201, body: { state: "registered", event_name: "Signed up", version: 1 } });
    const { version, ...reordered } = contract(1, PLAN) as Record<string, unknown>;
    expect(await push({ ...reordered, version })).toMatchObject({
      status: 200,
      body: { state: "known", fingerprint: first.body.fingerprint, created_at: first.body.created_at },
    });
  });

  it("refuses another document of a version that there is, and one that leaves a version out", async () => {
    await push(contract(1, PLAN));
    expect(await push(contract(1, {}))).toMatchObject({ status: 409, body: { reason: "contract_exists" } });
    expect(await push(contract(3, PLAN))).toMatchObject({
      status: 409,
      body: { reason: "contract_version_gap", expected: 2 },
    });
  });

  it("refuses a version that would break one of those before it, with field, why, and what would pass", async () => {
    await push(contract(1, { ...PLAN, seats: { type: "integer" } }));
    await push(contract(2, { ...PLAN, seats: { type: "number" } }));
    const refused = await push(contract(3, { ...PLAN, seats: { type: "number" } }, { required: ["plan"] }));
    expect(refused).toMatchObject({
      status: 409,
      body: { reason: "incompatible_contract", compatibility: "BACKWARD_TRANSITIVE", policy: "strict" },
    });
    expect(refused.body.breaks).toEqual(
      [2, 1].map((against) => ({
        against,
        direction: "backward",
        type: "REQUIRED_ATTRIBUTE_ADDED",
        path: "#/required/plan",
        why: "events of before may lack it",
        passes: "leave it optional, or give it a `default`",
      })),
    );
    expect((await ask("GET", "/v1/contracts/Signed%20up")).body.versions).toHaveLength(2);
  });

  const MARK = { class: "email", treatment: "drop" };
  it.each([
    [{ $defs: { mail: { type: "string", "x-pii": MARK } } }, "#/$defs/mail/x-pii"],
    [{ anyOf: [{ properties: { mail: { "x-pii": MARK } } }] }, "#/anyOf/0/properties/mail/x-pii"],
    [
      { properties: { to: { type: "array", items: { type: "string", "x-pii": MARK } } } },
      "#/properties/to/items/x-pii",
    ],
    [{ $id: "no url" }, "#/$id"],
    [{ properties: { a: { type: "object", $id: "https://shop.example/a" } } }, "#/properties/a/$id"],
    [{ required: ["a\0b"] }, "#/required/0"],
    [{ properties: { "\ud800": { type: "string" } } }, "#/properties"],
  ])("refuses what nobody could carry out or check: %j", async (more, path) => {
    expect(await push(contract(1, PLAN, more))).toMatchObject({ status: 422, body: { path } });
  });

  it("takes a mark of a field in an object, and a property that is called x-pii", async () => {
    const who = {
      type: "object",
      properties: { mail: { type: "string", "x-pii": MARK }, "x-pii": { type: "string" } },
    };
    expect((await push(contract(1, { ...PLAN, who }))).status).toBe(201);
  });

  it("only tells, where it is asked to try", async () => {
    expect(await push(contract(1, PLAN), "?try=1")).toMatchObject({
      status: 200,
      body: { state: "passes", version: 1 },
    });
    expect((await ask("GET", "/v1/contracts")).body).toEqual({ contracts: [] });
  });

  it.each([
    ["no schema", contract(1, { plan: { type: "text" } }), "#/properties/plan/type"],
    ["no owner", contract(1, PLAN, { "x-owner": " " }), "#/x-owner"],
    ["a version of none", contract(0, PLAN), "#/x-version"],
    [
      "an expectation of a field that is none",
      contract(1, PLAN, { "x-expectations": { present: { seats: 1 } } }),
      "#/x-expectations/present/seats",
    ],
    [
      "a treatment that nobody knows",
      contract(1, { mail: { "x-pii": { class: "email", treatment: "burn" } } }),
      "#/properties/mail/x-pii/treatment",
    ],
  ])("refuses what has %s, with its place", async (_, document, path) => {
    expect(await push(document)).toMatchObject({ status: 422, body: { reason: "not_a_contract", path } });
  });

  it("takes a document of CONTRACT.documentBytes and not one byte more, and texts as long as they may be", async () => {
    const of = (chars: number) => JSON.stringify(contract(1, PLAN, { $comment: "c".repeat(chars) }));
    const room = CONTRACT.documentBytes - of(0).length;
    expect((await push(of(room + 1))).body.reason).toBe("body_too_large");
    expect((await push(of(room))).status).toBe(201);
    const owned = (bytes: number) => contract(2, PLAN, { "x-owner": "o".repeat(bytes) });
    expect((await push(owned(CONTRACT.textBytes + 1))).body.path).toBe("#/x-owner");
    expect((await push(owned(CONTRACT.textBytes))).status).toBe(201);
  });

  it("takes versions up to CONTRACT.versions, and tells CONTRACT.breaksTold breaks", async () => {
    expect((await push(contract(CONTRACT.versions + 1, PLAN))).body.path).toBe("#/x-version");
    expect((await push(contract(CONTRACT.versions, PLAN))).body.reason).toBe("contract_version_gap");
    const fields = (count: number, type: string) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${i}`, { type }]));
    await push(contract(1, fields(CONTRACT.breaksTold + 1, "string")));
    const { body } = await push(contract(2, fields(CONTRACT.breaksTold + 1, "boolean")));
    expect(body.breaks).toHaveLength(CONTRACT.breaksTold);
  });

  it("is for administrators, and wants JSON", async () => {
    expect((await ask("POST", "/v1/contracts", contract(1, PLAN), TOKEN.sql)).body.reason).toBe("missing_scope");
    expect((await push("{")).body.reason).toBe("bad_json");
    expect((await push("")).body.reason).toBe("empty_body");
    expect((await push(contract(1, PLAN), "?try=yes")).body).toMatchObject({
      reason: "bad_parameter",
      parameter: "try",
    });
  });
});

describe("GET /v1/contracts", () => {
  it("lists events with what they mean, and gives each version as it was sent", async () => {
    const documents = [contract(1, PLAN), contract(2, { ...PLAN, seats: { type: "integer" } })];
    for (const document of documents) await push(document);
    expect((await ask("GET", "/v1/contracts", undefined, TOKEN.sql)).body).toEqual({
      contracts: [
        {
          event_name: "Signed up",
          versions: [1, 2],
          meaning: "A person has an account from now on.",
          owner: "growth@example.com",
          compatibility: "BACKWARD_TRANSITIVE",
          policy: "strict",
          rollouts: [],
        },
      ],
    });
    expect((await ask("GET", "/v1/contracts/Signed%20up/1")).body.document).toEqual(documents[0]);
    expect((await ask("GET", "/v1/contracts/Signed%20up/latest")).body.document).toEqual(documents[1]);
    expect((await ask("GET", "/v1/contracts/Signed%20up/3")).status).toBe(404);
    expect((await ask("GET", "/v1/contracts/Gone")).status).toBe(404);
  });
});

describe("PUT /v1/contracts/{event}/rules", () => {
  it("sets what versions from now on must keep to", async () => {
    await push(contract(1, PLAN));
    const set = (body: unknown) => ask("PUT", "/v1/contracts/Signed%20up/rules", body);
    expect(await set({ compatibility: "NONE" })).toMatchObject({ status: 200, body: { compatibility: "NONE" } });
    expect((await push(contract(2, { plan: { type: "boolean" } }))).status).toBe(201);
    await set({ compatibility: "FULL", policy: "lenient" });
    expect((await push(contract(3, { plan: { type: "string" } }))).body.reason).toBe("incompatible_contract");
    expect((await set({ compatibility: "SOME" })).body).toMatchObject({ parameter: "compatibility" });
    expect((await ask("PUT", "/v1/contracts/Gone/rules", { compatibility: "FULL" })).status).toBe(404);
    const long = { compatibility: "FULL", policy: "s".repeat(CONTRACT.rulesBytes) };
    expect((await set(long)).body.reason).toBe("body_too_large");
  });
});

describe("PUT /v1/contracts/{event}/rollout", () => {
  const roll = (body: unknown) => ask("PUT", "/v1/contracts/Signed%20up/rollout", body);

  it("says by source how far a version is rolled out; the same source again takes its place", async () => {
    await push(contract(1, PLAN));
    await roll({ mode: "warn" });
    await roll({ source: "shop", mode: "quarantine", version: 1 });
    const { status, body } = await roll({ source: "shop", mode: "off", version: 1 });
    expect(status).toBe(200);
    expect(body.rollouts).toEqual([
      { source: "*", mode: "warn", version: null },
      { source: "shop", mode: "off", version: 1 },
    ]);
  });

  it("takes CONTRACT.rollouts sources, and not one more", async () => {
    await push(contract(1, PLAN));
    for (let i = 0; i < CONTRACT.rollouts; i++) await roll({ source: `source-${i}`, mode: "warn" });
    expect((await roll({ source: "one more", mode: "warn" })).body.reason).toBe("too_many_contracts");
    expect((await roll({ source: "source-0", mode: "reject" })).status).toBe(200);
  });

  it("takes CONTRACT.enforcedBytes of documents, each once for a source, and not one more", async () => {
    const { enforcedBytes } = CONTRACT;
    await push(contract(1, PLAN));
    const { byteLength } = new TextEncoder().encode(JSON.stringify(contract(1, PLAN)));
    try {
      Object.assign(CONTRACT, { enforcedBytes: 2 * byteLength });
      for (const source of ["a", "b"]) expect((await roll({ source, mode: "warn" })).status).toBe(200);
      const refused = { status: 422, body: { reason: "too_many_contracts", limit: 2 * byteLength } };
      expect(await roll({ source: "c", mode: "warn" })).toMatchObject(refused);
      expect((await roll({ source: "c", mode: "off" })).status).toBe(200);
      expect(await push(contract(2, { ...PLAN, more: {} }))).toMatchObject(refused);
      expect((await ask("GET", "/v1/contracts/Signed%20up")).body.versions).toHaveLength(1);
    } finally {
      Object.assign(CONTRACT, { enforcedBytes });
    }
  });

  it.each([
    [{ mode: "some" }, "mode"],
    [{ mode: "warn", source: "" }, "source"],
    [{ mode: "warn", source: "s".repeat(101) }, "source"],
    [{ mode: "warn", version: 1.5 }, "version"],
    [{ mode: "warn", until: "later" }, "until"],
  ])("refuses %j", async (body, parameter) => {
    await push(contract(1, PLAN));
    expect(await roll(body)).toMatchObject({ status: 400, body: { reason: "bad_parameter", parameter } });
  });

  it("is of contracts and versions that there are", async () => {
    expect((await roll({ mode: "warn" })).status).toBe(404);
    await push(contract(1, PLAN));
    expect((await roll({ mode: "warn", version: 2 })).status).toBe(404);
  });
});
