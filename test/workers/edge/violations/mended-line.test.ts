import { expect, it } from "vitest";
import { mapped, parseMapping } from "../../../../workers/edge/violations/mapping.ts";
import { Mender } from "../../../../workers/edge/violations/mended-line.ts";

const mark = (treatment: string) => ({ type: "string", "x-pii": { class: "email", treatment } });
const document = JSON.stringify({
  ...{ "x-event": "Paid", "x-version": 2, "x-owner": "shop@example.com", description: "Somebody has paid." },
  type: "object",
  properties: { email: mark("hash"), to: { type: "object", properties: { mail: mark("drop") } }, note: mark("keep") },
});

it("a mapping that writes to a field which is treated before the log is told: it would put back in clear what was taken out", () => {
  const treated = (...mapping: object[]) =>
    new Mender("Paid", 2, document, { steps: parseMapping(mapping) }).treatedFields;
  expect(treated({ field: "email", from: "e_mail" })).toEqual(["email"]);
  expect(treated({ field: "email", set: "ann@example.com" }, { field: "email", as: "string" })).toEqual([
    "email",
    "email",
  ]);
  expect(treated({ field: "to", set: { mail: "ann@example.com" } })).toEqual(["to"]);
  expect(treated({ field: "email", drop: true }, { field: "total", from: "sum" }, { field: "note", set: "n" })).toEqual(
    [],
  );
});

it("a mapping takes what every object has for no property", () => {
  expect(mapped({}, parseMapping([{ field: "constructor", set: 1 }]))).toEqual({ constructor: 1 });
  expect(mapped({}, parseMapping([{ field: "to", from: "toString" }]))).toEqual({});
});
