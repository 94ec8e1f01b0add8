import { expect, it } from "vitest";
import { loggedSchema } from "../../../r2-layout/contracts/logged-schema.ts";

it("asks nothing of what a policy has treated, and all of the rest", () => {
  const schema = {
    type: "object",
    required: ["mail", "plan", "who"],
    properties: {
      mail: { type: "string", format: "email" },
      plan: { type: "string" },
      who: {
        type: "object",
        required: ["name", "age"],
        properties: { name: { type: "string" }, age: { type: "integer" } },
      },
    },
  } as const;
  const pii = [
    { path: ["mail"], class: "email", treatment: "hash" },
    { path: ["who", "name"], class: "name", treatment: "drop" },
    { path: ["plan"], class: "identifier", treatment: "keep" },
    { path: ["gone", "by"], class: "name", treatment: "drop" },
  ] as const;
  expect(loggedSchema(schema as never, [{ pii }])).toEqual({
    type: "object",
    required: ["plan", "who"],
    properties: {
      mail: true,
      plan: { type: "string" },
      who: { type: "object", required: ["age"], properties: { name: true, age: { type: "integer" } } },
    },
  });
  expect(loggedSchema(schema as never, [])).toEqual(schema);
});
