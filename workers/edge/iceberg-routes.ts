/**
 * The lake as an Iceberg REST catalog, read-only: one namespace with the two tables. Only for tokens with the scope `raw`,
 * because files know no masking. What a client may ask is in `endpoints`; all else is answered in its error shape.
 */
import { type Context, Hono } from "hono";
import { LAKE_CATALOG_NAME } from "../../durable-objects/lake-catalog/api.ts";
import type { LakeIcebergApi, PublishedTable } from "../../durable-objects/lake-catalog/iceberg-api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { READING } from "../../r2-layout/limits.ts";
import type { Tokens } from "../tokens.ts";
import { icebergError, icebergFailure } from "./iceberg-answers.ts";
import { type ReadCredentials, tablePrefix } from "./iceberg-credentials.ts";
import { answerTokenRequest } from "./iceberg-tokens.ts";
import { within } from "./pressure.ts";

export const NAMESPACE = "eventpile";

export interface IcebergRoutes {
  readonly catalog: ObjectNamespace<Pick<LakeIcebergApi, "icebergTables">>;
  readonly bucket: { get(key: string): Promise<{ text(): Promise<string> } | null> };
  readonly bucketName: string;
  readonly tokens: Tokens;
  readonly credentials: ReadCredentials;
  /** @throws Refused unless the request's token may read raw files. */
  readonly allow: (request: Request) => void;
}

const TABLE = "/v1/namespaces/:namespace/tables/:table";

/** As the specification spells them. */
const ENDPOINTS = [
  "GET /v1/{prefix}/namespaces",
  "GET /v1/{prefix}/namespaces/{namespace}",
  "HEAD /v1/{prefix}/namespaces/{namespace}",
  "GET /v1/{prefix}/namespaces/{namespace}/tables",
  "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
  "HEAD /v1/{prefix}/namespaces/{namespace}/tables/{table}",
  "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials",
  "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/metrics",
];

export function addIceberg(app: Hono, routes: IcebergRoutes): void {
  const { catalog, bucket, bucketName, credentials, allow, tokens } = routes;
  const iceberg = new Hono();
  iceberg.onError(icebergFailure);
  iceberg.use("*", (c, next) => within(READING.answerMs, c.req.path, next()));

  // Before the check: here a client has its token in the body.
  iceberg.post("/v1/oauth/tokens", (c) => answerTokenRequest(c.req.raw, tokens));
  iceberg.use("*", (c, next) => {
    allow(c.req.raw);
    return next();
  });

  iceberg.get("/v1/config", (c) => c.json({ defaults: {}, overrides: {}, endpoints: ENDPOINTS }));
  iceberg.get("/v1/namespaces", (c) => {
    const parent = c.req.query("parent") ?? "";
    if (parent !== "" && parent !== NAMESPACE) return noNamespace(parent);
    return c.json({ namespaces: parent === "" ? [[NAMESPACE]] : [] });
  });
  iceberg.get("/v1/namespaces/:namespace", (c) => {
    if (!isOurs(c)) return noNamespace(c.req.param("namespace"));
    return isHead(c) ? c.body(null, 204) : c.json({ namespace: [NAMESPACE], properties: {} });
  });
  iceberg.get("/v1/namespaces/:namespace/tables", async (c) => {
    if (!isOurs(c)) return noNamespace(c.req.param("namespace"));
    const tables = await catalog.getByName(LAKE_CATALOG_NAME).icebergTables();
    return c.json({ identifiers: tables.map(({ table }) => ({ namespace: [NAMESPACE], name: table })) });
  });

  const published = async (c: Context): Promise<PublishedTable | Response> => {
    const { namespace, table: name } = c.req.param();
    const tables = isOurs(c) ? await catalog.getByName(LAKE_CATALOG_NAME).icebergTables() : [];
    const table = tables.find((of) => of.table === name);
    // Not "no such namespace": Spark asks for `events.snapshots` as if it were one, and goes on only where no table is there.
    return table ?? icebergError("NoSuchTableException", `Table does not exist: ${namespace}.${name}`);
  };
  const storageCredentials = ({ table }: PublishedTable, config: Readonly<Record<string, string>>) =>
    Object.keys(config).length === 0 ? [] : [{ prefix: `s3://${bucketName}/${tablePrefix(table)}`, config }];

  iceberg.get(TABLE, async (c) => {
    const table = await published(c);
    if (table instanceof Response) return table;
    if (isHead(c)) return c.body(null, 204);
    const [object, config] = await Promise.all([bucket.get(table.metadataKey), credentials(table.table, originOf(c))]);
    if (!object) throw new Error(`metadata ${table.metadataKey} is missing`);
    // The metadata is JSON as it is, and can be long.
    const around = {
      "metadata-location": `s3://${bucketName}/${table.metadataKey}`,
      config,
      "storage-credentials": storageCredentials(table, config),
    };
    const json = `${JSON.stringify(around).slice(0, -1)},"metadata":${await object.text()}}`;
    return c.body(json, 200, { "content-type": "application/json", "cache-control": "no-store" });
  });
  iceberg.get(`${TABLE}/credentials`, async (c) => {
    const table = await published(c);
    if (table instanceof Response) return table;
    const config = await credentials(table.table, originOf(c));
    return c.json({ "storage-credentials": storageCredentials(table, config) }, 200, { "cache-control": "no-store" });
  });
  // What a client scanned and how long it took: nobody here asks for it.
  iceberg.post(`${TABLE}/metrics`, async (c) => {
    const table = await published(c);
    return table instanceof Response ? table : c.body(null, 204);
  });

  iceberg.all("*", (c) =>
    c.req.method === "GET" || c.req.method === "HEAD"
      ? icebergError("NotFoundException", `There is nothing at ${c.req.path}`)
      : icebergError("UnsupportedOperationException", "This catalog is read-only: rows come through the event API"),
  );
  app.route("/iceberg", iceberg);
}

const isHead = (c: Context): boolean => c.req.method === "HEAD";
const isOurs = (c: Context): boolean => c.req.param("namespace") === NAMESPACE;
const originOf = (c: Context): string => new URL(c.req.url).origin;
const noNamespace = (name: string) => icebergError("NoSuchNamespaceException", `Namespace does not exist: ${name}`);
