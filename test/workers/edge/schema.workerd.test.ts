import { reset, SELF } from "cloudflare:test";
import { afterEach, describe, expect, it } from "vitest";
import { EVENT_COLUMNS, QUARANTINE_COLUMNS } from "../../../r2-layout/event-columns.ts";
import { SCHEMA } from "../../../r2-layout/limits.ts";
import type { ColumnJson, SchemaJson } from "../../../workers/schema-json.ts";
import { TOKEN } from "./edge-config.ts";

const ORIGIN = "https://collect.example";
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

afterEach(() => reset());

async function post(body: unknown, token: string = TOKEN.admin) {
  const init = { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body), headers: bearer(token) };
  const response = await SELF.fetch(`${ORIGIN}/v1/schema/columns`, init);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function schema(query = ""): Promise<SchemaJson> {
  const response = await SELF.fetch(`${ORIGIN}/v1/schema${query}`, { headers: bearer(TOKEN.sql) });
  expect(response.status).toBe(200);
  return response.json();
}

const named = (columns: readonly ColumnJson[]) => columns.map(({ name }) => name);
const plan = { name: "plan", type: "string", property: "Plan", doc: "What is paid for." };

describe("GET /v1/schema", () => {
  it("gives every column of both tables, as the reference page has it", async () => {
    const { version, snapshot, tables } = await schema();
    expect({ version, snapshot }).toEqual({ version: 1, snapshot: 0 });
    expect(named(tables.events.columns)).toEqual(Object.keys(EVENT_COLUMNS));
    expect(named(tables.quarantine.columns)).toEqual(Object.keys(QUARANTINE_COLUMNS));
    expect(tables.events.columns[0]).toEqual({
      name: "event_id",
      type: "VARCHAR",
      nullable: false,
      doc: EVENT_COLUMNS.event_id.doc,
      field_id: 1,
      since: null,
      property: null,
      conflicts: null,
      identifier: null,
    });
  });

  it("gives what was promoted, of the events only, and of an old snapshot what it had (promise 6)", async () => {
    const before = Date.now();
    expect(await post(plan)).toMatchObject({ status: 201 });
    await post({ name: "seats", type: "long", property: "seats", identifier: true });
    const { version, snapshot, tables } = await schema();
    expect({ version, snapshot }).toEqual({ version: 3, snapshot: 2 });
    expect(tables.quarantine).toMatchObject({ version: 1 });
    const added = tables.events.columns.slice(-2);
    expect(added).toMatchObject([
      {
        ...plan,
        type: "VARCHAR",
        nullable: true,
        field_id: 1_001,
        conflicts: 0,
        identifier: false,
        since: { version: 2, snapshot: 1 },
      },
      {
        name: "seats",
        type: "BIGINT",
        nullable: true,
        field_id: 1_002,
        doc: "",
        since: { version: 3, snapshot: 2 },
        identifier: true,
      },
    ]);
    expect(Date.parse(added[0]!.since!.at)).toBeGreaterThanOrEqual(before);
    expect(named((await schema("?as_of=1")).tables.events.columns).at(-1)).toBe("plan");
    for (const as_of of ["3", "x", "-1"]) {
      const response = await SELF.fetch(`${ORIGIN}/v1/schema?as_of=${as_of}`, { headers: bearer(TOKEN.sql) });
      expect(await response.json()).toMatchObject({ status: 400, reason: "bad_parameter", parameter: "as_of" });
    }
  });
});

describe("POST /v1/schema/columns", () => {
  it("adds a column once: the same request again is no change, another of its name is refused with what it is (promise 6)", async () => {
    const first = await post(plan);
    expect(first).toMatchObject({
      status: 201,
      body: { version: 2, snapshot: 1, column: { name: "plan", field_id: 1_001 } },
    });
    expect(await post(plan)).toEqual({ status: 200, body: first.body });
    for (const other of [{ type: "long" }, { property: "plan" }, { doc: "Another." }]) {
      expect(await post({ ...plan, ...other })).toMatchObject({
        status: 409,
        body: { reason: "column_exists", detail: "plan is the string of property Plan, for good: take another name" },
      });
    }
    expect((await schema()).version).toBe(2);
  });

  it("takes an admin's token only", async () => {
    expect(await post(plan, TOKEN.sql)).toMatchObject({ status: 403, body: { reason: "missing_scope" } });
    expect((await schema()).version).toBe(1);
  });

  it.each([
    [{ ...plan, name: "Plan" }, "name"],
    [{ ...plan, name: "event_id" }, "name"],
    [{ ...plan, name: "select" }, "name"],
    [{ ...plan, type: "int" }, "type"],
    [{ ...plan, property: "" }, "property"],
    [{ ...plan, doc: 7 }, "doc"],
    [{ ...plan, nullable: false }, "nullable"],
    [{}, "name"],
  ])("names what is wrong with %j", async (body, parameter) => {
    expect(await post(body)).toMatchObject({ status: 400, body: { reason: "bad_parameter", parameter } });
  });

  it("refuses what is no JSON object, and a body beyond its bound (promise 9)", async () => {
    expect(await post("[]")).toMatchObject({ status: 400, body: { reason: "bad_json" } });
    const large = JSON.stringify({ ...plan, doc: "x".repeat(SCHEMA.bodyBytes) });
    expect(await post(large)).toMatchObject({ status: 413, body: { reason: "body_too_large" } });
  });

  it("says when there are as many columns as there may be (promise 9)", async () => {
    for (let at = 0; at < SCHEMA.promotedColumns; at++)
      expect((await post({ ...plan, name: `c${at}` })).status).toBe(201);
    expect(await post(plan)).toMatchObject({
      status: 422,
      body: { reason: "too_many_columns", limit: SCHEMA.promotedColumns },
    });
  });
});

it("counts of conflicts are in the metrics, one line a column", async () => {
  await post(plan);
  const response = await SELF.fetch(`${ORIGIN}/metrics`, { headers: bearer(TOKEN.admin) });
  const text = await response.text();
  expect(text).toContain('eventpile_lake_column_conflicts_total{column="plan"} 0\n');
  expect(text).toContain("eventpile_lake_schema_version 2\n");
});
