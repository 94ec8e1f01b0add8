/**
 * The columns of both tables as this lake has them, and POST /v1/schema/columns, which promotes a property of the events
 * to a column: for good, and for every event that the lake takes once this has answered.
 */
import type { Hono } from "hono";
import { LAKE_CATALOG_NAME } from "../../durable-objects/lake-catalog/api.ts";
import type { LakeSchemaApi } from "../../durable-objects/lake-catalog/schema-api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { SCHEMA } from "../../r2-layout/limits.ts";
import { parseNewColumn } from "../../r2-layout/promoted-request.ts";
import { problem } from "../problem.ts";
import { schemaJson } from "../schema-json.ts";
import { readJsonBody } from "./json-body.ts";
import { badParameter, countParameter } from "./parameters.ts";

export interface SchemaRoutes {
  readonly catalog: ObjectNamespace<LakeSchemaApi>;
  /** @throws Refused where the token may not. */
  readonly reader: (request: Request) => void;
  readonly admin: (request: Request) => void;
}

const MEMBERS = ["name", "type", "property", "doc", "identifier"];

export function addSchema(app: Hono, { catalog: catalogs, reader, admin }: SchemaRoutes): void {
  const catalog = () => catalogs.getByName(LAKE_CATALOG_NAME);

  app.get("/v1/schema", async (c) => {
    reader(c.req.raw);
    const query = new URL(c.req.url).searchParams;
    const fallback = Number.NaN;
    const asOf = countParameter(query, "as_of", { fallback, max: Number.MAX_SAFE_INTEGER });
    return c.json(schemaJson(await schemaAt(catalog(), Number.isNaN(asOf) ? undefined : asOf)));
  });

  app.post("/v1/schema/columns", async (c) => {
    admin(c.req.raw);
    const asked = parseNewColumn(await readJsonBody(c.req.raw, SCHEMA.bodyBytes, MEMBERS));
    if (!asked.ok) throw badParameter(asked.error.parameter, asked.error.detail);
    const answer = await catalog().addColumn(asked.value);
    switch (answer.kind) {
      case "full":
        return problem({ reason: "too_many_columns", limit: answer.limit });
      case "taken": {
        const { type, property } = answer.column;
        const detail = `${asked.value.name} is the ${type} of property ${property}, for good: take another name`;
        return problem({ reason: "column_exists", detail });
      }
      case "added":
      case "known": {
        const { name } = answer.column;
        const { tables, ...rest } = schemaJson(await schemaAt(catalog()));
        const column = tables.events.columns.find((known) => known.name === name);
        return c.json({ ...rest, column }, answer.kind === "added" ? 201 : 200);
      }
    }
  });
}

async function schemaAt(catalog: LakeSchemaApi, asOf?: number) {
  try {
    return await catalog.schema(asOf);
  } catch (error) {
    if (error instanceof RangeError) throw badParameter("as_of", error.message);
    throw error;
  }
}
