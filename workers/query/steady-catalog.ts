/**
 * The catalog, asked once more where it was reset or has moved in the middle of an answer: a deploy does that, and what it is
 * asked here changes nothing. A fresh stub each time, because one whose object has gone may fail for good. What it refuses, and
 * that it is overloaded, is told as it is.
 */
import type { LakeCatalogApi } from "../../durable-objects/lake-catalog/api.ts";
import type { LakePlaceApi } from "../../durable-objects/lake-catalog/place-api.ts";
import type { LakeSchemaApi } from "../../durable-objects/lake-catalog/schema-api.ts";

export type QueriedCatalog = Pick<LakeCatalogApi, "plan"> & LakePlaceApi & Pick<LakeSchemaApi, "schema">;

export function steadyCatalog(stub: () => QueriedCatalog): QueriedCatalog {
  const asked = async <T>(ask: (catalog: QueriedCatalog) => Promise<T>): Promise<T> => {
    try {
      return await ask(stub());
    } catch (error) {
      if (!isGone(error)) throw error;
      return ask(stub());
    }
  };
  return {
    plan: (request) => asked((catalog) => catalog.plan(request)),
    place: () => asked((catalog) => catalog.place()),
    schema: (asOf) => asked((catalog) => catalog.schema(asOf)),
  };
}

/** Refusals are of a class of their own (RangeError), and come back so. */
const isGone = (error: unknown): boolean =>
  error instanceof Error && error.name === "Error" && !(error as { overloaded?: boolean }).overloaded;
