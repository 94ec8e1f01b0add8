import { reset, SELF } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { ulid } from "ulidx";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { LakeCatalog } from "../../../durable-objects/lake-catalog/lake-catalog.ts";
import { publishIceberg } from "../../../queues/maintenance/publish-iceberg.ts";
import { ICEBERG, MINUTE_MS } from "../../../r2-layout/limits.ts";
import { dataFile } from "../../durable-objects/lake-catalog/data-files.ts";
import { TOKEN } from "./edge-config.ts";

const ORIGIN = "https://eventpile.example/iceberg";
const TABLE = "/v1/namespaces/eventpile/tables/events";
const { BUCKET: bucket, LAKE_CATALOG: catalogs } = env as unknown as {
  BUCKET: R2Bucket;
  LAKE_CATALOG: DurableObjectNamespace<LakeCatalog>;
};

async function ask(method: string, path: string, token: string | null = TOKEN.raw): Promise<Response> {
  return SELF.fetch(ORIGIN + path, {
    method,
    headers: token === null ? {} : { authorization: `Bearer ${token}` },
    ...(method === "POST" && { body: "{}" }),
  });
}

interface ErrorBody {
  readonly error: { readonly message: string; readonly type: string; readonly code: number };
}

const errorOf = async (response: Response) => {
  const { error } = (await response.json()) as ErrorBody;
  expect(error.code).toBe(response.status);
  return [error.code, error.type];
};

async function publishedLake(): Promise<void> {
  const catalog = catalogs.getByName("lake");
  const { token } = (await catalog.lease(0, ulid(), MINUTE_MS))!;
  const applied = { events: 10, quarantined: 0 };
  await catalog.append({ shard: 0, token, from: 0, to: 1, applied, add: [dataFile()] });
  await catalog.release(0, token);
  await publishIceberg({ bucket, catalog, bucketUri: "s3://eventpile" }, Date.now() + MINUTE_MS, true);
}

beforeEach(() => publishedLake());
afterEach(() => reset());

describe("the Iceberg catalog", () => {
  it("says what may be asked, and has one namespace with two tables", async () => {
    const config = (await (await ask("GET", "/v1/config?warehouse=any")).json()) as { endpoints: string[] };
    expect(config.endpoints).toContain("GET /v1/{prefix}/namespaces/{namespace}/tables/{table}");
    expect(config.endpoints.filter((endpoint) => /^(PUT|DELETE|POST)/.test(endpoint))).toEqual([
      "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/metrics",
    ]);
    expect(await (await ask("GET", "/v1/namespaces")).json()).toEqual({ namespaces: [["eventpile"]] });
    expect(await (await ask("GET", "/v1/namespaces?parent=eventpile")).json()).toEqual({ namespaces: [] });
    expect(await (await ask("GET", "/v1/namespaces/eventpile")).json()).toMatchObject({ namespace: ["eventpile"] });
    expect(await (await ask("GET", "/v1/namespaces/eventpile/tables")).json()).toEqual({
      identifiers: [
        { namespace: ["eventpile"], name: "events" },
        { namespace: ["eventpile"], name: "quarantine" },
      ],
    });
    for (const path of ["/v1/namespaces/eventpile", TABLE]) expect((await ask("HEAD", path)).status).toBe(204);
    expect((await ask("HEAD", "/v1/namespaces/other")).status).toBe(404);
    expect((await ask("HEAD", `${TABLE}s`)).status).toBe(404);
    expect((await ask("POST", `${TABLE}/metrics`)).status).toBe(204);
  });

  it("hands out a table's newest metadata, with no credentials where none are configured", async () => {
    const loaded = (await (await ask("GET", TABLE)).json()) as {
      "metadata-location": string;
      metadata: { snapshots: { summary: Record<string, string> }[] };
      config: object;
    };
    expect(loaded["metadata-location"]).toMatch(/^s3:\/\/eventpile\/lake\/events\/metadata\/00001-.*\.metadata\.json$/);
    expect(loaded.metadata.snapshots[0]!.summary["total-records"]).toBe("10");
    expect(loaded.config).toEqual({});
    expect(await (await ask("GET", `${TABLE}/credentials`)).json()).toEqual({ "storage-credentials": [] });
  });

  it.each([
    ["GET", "/v1/namespaces/other", 404, "NoSuchNamespaceException"],
    ["GET", "/v1/namespaces/other/tables", 404, "NoSuchNamespaceException"],
    ["GET", "/v1/namespaces?parent=other", 404, "NoSuchNamespaceException"],
    ["GET", "/v1/namespaces/eventpile/tables/other", 404, "NoSuchTableException"],
    // How Spark asks for the metadata table events.snapshots, before it asks for events.
    ["GET", "/v1/namespaces/eventpile%1Fevents/tables/snapshots", 404, "NoSuchTableException"],
    ["GET", "/v1/namespaces/eventpile/views", 404, "NotFoundException"],
    ["POST", "/v1/namespaces", 406, "UnsupportedOperationException"],
    ["POST", TABLE, 406, "UnsupportedOperationException"],
    ["POST", "/v1/transactions/commit", 406, "UnsupportedOperationException"],
    ["DELETE", TABLE, 406, "UnsupportedOperationException"],
    ["DELETE", "/v1/namespaces/eventpile", 406, "UnsupportedOperationException"],
  ])("answers %s %s with %i %s, in Iceberg's own shape", async (method, path, code, type) => {
    expect(await errorOf(await ask(method, path))).toEqual([code, type]);
  });

  it("is for tokens with the scope raw, and for admin's, because files know no masking", async () => {
    expect((await ask("GET", TABLE, TOKEN.admin)).status).toBe(200);
    for (const token of [TOKEN.sql, TOKEN.support, TOKEN.live]) {
      for (const path of ["/v1/config", "/v1/namespaces", TABLE]) {
        expect(await errorOf(await ask("GET", path, token))).toEqual([403, "ForbiddenException"]);
      }
    }
    for (const token of [null, "nobody's"]) {
      expect(await errorOf(await ask("GET", TABLE, token))).toEqual([401, "NotAuthorizedException"]);
    }
  });
});

it("says how far other engines are behind", async () => {
  const text = async () =>
    (
      await SELF.fetch("https://eventpile.example/metrics", { headers: { authorization: `Bearer ${TOKEN.admin}` } })
    ).text();
  expect(await text()).toContain('eventpile_iceberg_unpublished_seconds{table="events"} 0\n');
  const catalog = catalogs.getByName("lake");
  const { token, cursor } = (await catalog.lease(0, ulid(), MINUTE_MS))!;
  const applied = { events: 10, quarantined: 0 };
  const add = [dataFile()];
  await catalog.append({ shard: 0, token, from: cursor, to: cursor + 1, applied, add });
  expect(await text()).toMatch(/eventpile_iceberg_unpublished_seconds\{table="events"\} \d*\.?\d+\n/);
  expect(await text()).toContain('eventpile_iceberg_lake_snapshot{table="events"} 1\n');
});

describe("the token endpoint", () => {
  const request = (body: string, headers: Record<string, string> = {}) =>
    SELF.fetch(`${ORIGIN}/v1/oauth/tokens`, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
      body,
    });

  it.each([
    ["a client's secret in the body", `grant_type=client_credentials&client_id=me&client_secret=${TOKEN.raw}`, {}],
    [
      "a client's secret in the header",
      "grant_type=client_credentials",
      { authorization: `Basic ${btoa(`me:${TOKEN.raw}`)}` },
    ],
    [
      "a token to be exchanged",
      `grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=${TOKEN.raw}`,
      {},
    ],
  ])("gives a bearer token for %s", async (_, body, headers) => {
    const response = await request(body, headers);
    const token = (await response.json()) as { access_token: string; token_type: string };
    expect([response.status, token.token_type]).toEqual([200, "bearer"]);
    expect((await ask("GET", "/v1/config", token.access_token)).status).toBe(200);
  });

  it.each([
    ["grant_type=client_credentials&client_secret=wrong", 401, "invalid_client"],
    ["grant_type=client_credentials", 401, "invalid_client"],
    [`grant_type=client_credentials&client_secret=${TOKEN.sql}`, 400, "unauthorized_client"],
    [`grant_type=password&password=${TOKEN.raw}`, 400, "unsupported_grant_type"],
    ["", 400, "unsupported_grant_type"],
  ])("refuses %j", async (body, status, error) => {
    const response = await request(body);
    expect([response.status, ((await response.json()) as { error: string }).error]).toEqual([status, error]);
  });

  it("promise 9: reads ICEBERG.tokenRequestBytes and not a byte more", async () => {
    const form = `grant_type=client_credentials&client_secret=${TOKEN.raw}&scope=`;
    expect((await request(form.padEnd(ICEBERG.tokenRequestBytes, "x"))).status).toBe(200);
    const response = await request(form.padEnd(ICEBERG.tokenRequestBytes + 1, "x"));
    expect([response.status, await response.json()]).toMatchObject([400, { error_description: "body_too_large" }]);
  });
});
