/** A small JSON body of an administrative request: bounded, an object, and only members that are known. */
import type { BodyLimits } from "./body.ts";
import { readBytes } from "./body.ts";
import { badParameter, Refused } from "./parameters.ts";

export type JsonMembers = Readonly<Record<string, unknown>>;

/** An empty body is an empty object. @throws Refused */
export async function readJsonBody(
  request: Request,
  limitBytes: number,
  known: readonly string[],
): Promise<JsonMembers> {
  const limits: BodyLimits = { bodyBytes: limitBytes, inflatedBytes: limitBytes };
  const bytes = await readBytes(request, limits);
  if (!bytes.ok) throw new Refused(bytes.error);
  const text = new TextDecoder().decode(bytes.value).trim();
  return members(text === "" ? {} : parsed(text), known);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Refused({ reason: "bad_json", detail: error instanceof Error ? error.message : "it is not JSON" });
  }
}

/** @throws Refused unless it is an object that has no others. */
export function members(value: unknown, known: readonly string[], path = ""): JsonMembers {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    if (path !== "") throw badParameter(path, "an object");
    throw new Refused({ reason: "bad_json", detail: "the body is an object" });
  }
  for (const name of Object.keys(value)) {
    if (!known.includes(name)) {
      throw badParameter(
        path === "" ? name : `${path}.${name}`,
        `there is no such member; there are ${known.join(", ")}`,
      );
    }
  }
  return value as JsonMembers;
}
