/**
 * What a contract asks of events as the log has them: what its PII policy has treated (dropped, hashed, encrypted) cannot be asked after
 * any more, so nothing is asked of it. For whoever checks what was recorded against a contract; pure.
 */
import type { Contract } from "./contract.ts";
import type { SchemaObject } from "./json-schema.ts";

/** @param treatedBy the versions whose policies were in force when the events came, the contract's own among them */
export function loggedSchema(schema: SchemaObject, treatedBy: readonly Pick<Contract, "pii">[]): SchemaObject {
  const paths = treatedBy.flatMap(({ pii }) =>
    pii.filter(({ treatment }) => treatment !== "keep").map(({ path }) => path),
  );
  return paths.reduce(without, schema);
}

/** Less what is asked of the property at a path. Where an object around it is described in another way, all stays as it is. */
function without(schema: SchemaObject, [name, ...inner]: readonly string[]): SchemaObject {
  const { properties } = schema;
  if (name === undefined || !properties || !Object.hasOwn(properties, name)) return schema;
  const field = properties[name]!;
  if (inner.length > 0) {
    if (typeof field === "boolean") return schema;
    return { ...schema, properties: { ...properties, [name]: without(field, inner) } };
  }
  const { required } = schema as { readonly required?: readonly string[] };
  return {
    ...schema,
    properties: { ...properties, [name]: true },
    ...(required && { required: required.filter((one) => one !== name) }),
  } as SchemaObject;
}
