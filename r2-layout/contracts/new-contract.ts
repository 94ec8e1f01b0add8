/**
 * What a contract may not be when it is registered, beyond what `parseContract` refuses: such a document would be read, and then
 * stand in the way of an event, or of all others. Not asked of what is stored: it is enforced as it is.
 */
import { Validator } from "@cfworker/json-schema";
import type { Contract } from "./contract.ts";
import { pointer, type SchemaFault } from "./json-schema.ts";

type Members = Readonly<Record<string, unknown>>;

const isRecord = (value: unknown): value is Members =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** @param document parsed JSON, as `parseContract` has taken it. @returns null where nothing is wrong */
export function newContractFault(document: unknown, contract: Contract): SchemaFault | null {
  return oddText(document, "#") ?? strayMarks(document, contract) ?? unbuildable(document);
}

/** Halves of surrogate pairs and NULs: neither a pointer nor SQL can name a field by them. */
function oddText(value: unknown, path: string): SchemaFault | null {
  if (typeof value === "string") return isPlain(value) ? null : { path, detail: ODD };
  if (typeof value !== "object" || value === null) return null;
  for (const [name, each] of Object.entries(value)) {
    if (!isPlain(name)) return { path, detail: ODD };
    const fault = oddText(each, pointer(path, name));
    if (fault) return fault;
  }
  return null;
}

const ODD = "has a NUL character or half a surrogate pair in it";
const isPlain = (text: string): boolean => text.isWellFormed() && !text.includes("\0");

/** A mark that nobody would carry out: the field would be stored in clear. And an $id that moves what refs mean. */
function strayMarks(document: unknown, { pii }: Contract): SchemaFault | null {
  const known = new Set(pii.map(({ path }) => path.reduce((at, name) => pointer(`${at}/properties`, name), "#")));
  const visit = (schema: unknown, path: string): SchemaFault | null => {
    if (!isRecord(schema)) return null;
    if (schema["x-pii"] !== undefined && !known.has(path)) {
      const detail = "is carried out only of fields of the event, and of objects in it, down a chain of properties";
      return { path: pointer(path, "x-pii"), detail };
    }
    if (schema.$id !== undefined && !(path === "#" && typeof schema.$id === "string" && URL.canParse(schema.$id))) {
      return { path: pointer(path, "$id"), detail: "must be an absolute URL, of the whole document" };
    }
    return inner(schema, path).reduce<SchemaFault | null>((found, [one, at]) => found ?? visit(one, at), null);
  };
  return visit(document, "#");
}

const BY_NAME = ["properties", "patternProperties", "$defs"] as const;
const LISTS = ["allOf", "anyOf", "oneOf"] as const;
const SINGLE = ["items", "additionalProperties", "not"] as const;

function inner(schema: Members, path: string): [schema: unknown, path: string][] {
  const named = BY_NAME.flatMap((keyword) =>
    Object.entries(isRecord(schema[keyword]) ? schema[keyword] : {}).map(([name, one]): [unknown, string] => [
      one,
      pointer(`${path}/${keyword}`, name),
    ]),
  );
  const listed = LISTS.flatMap((keyword) =>
    (Array.isArray(schema[keyword]) ? schema[keyword] : []).map((one, i): [unknown, string] => [
      one,
      `${path}/${keyword}/${i}`,
    ]),
  );
  return [...named, ...listed, ...SINGLE.map((keyword): [unknown, string] => [schema[keyword], `${path}/${keyword}`])];
}

/** The validator is somebody else's: what it cannot take is asked of itself. */
function unbuildable(document: unknown): SchemaFault | null {
  try {
    new Validator(document as never, "2020-12", true).validate({});
    return null;
  } catch (error) {
    return { path: "#", detail: `cannot be checked against: ${error instanceof Error ? error.message : error}` };
  }
}
