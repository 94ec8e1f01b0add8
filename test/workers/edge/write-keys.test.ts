import { describe, expect, it } from "vitest";
import { parseWriteKeys, writeKeyOf } from "../../../workers/edge/write-keys.ts";

const request = (authorization?: string) =>
  new Request("https://x.example/", { headers: authorization ? { authorization } : {} });

describe("a write key", () => {
  it.each([
    [`Basic ${btoa("key:")}`, "", "key"],
    [`basic ${btoa("key:ignored:password")}`, "", "key"],
    [`Basic ${btoa("key")}`, "", "key"],
    [`Basic ${btoa("key:")}`, "writeKey=other", "key"],
    [`Basic ${btoa(":")}`, "writeKey=other", "other"],
    ["Bearer some-token", "writeKey=other", "other"],
    [undefined, "write_key=other", "other"],
    ["Basic", "", null],
    ["Basic ====", "", null],
    [undefined, "writeKey=", null],
  ])("of %s and ?%s is %s", (authorization, query, key) => {
    expect(writeKeyOf(request(authorization), new URLSearchParams(query))).toBe(key);
  });
});

describe("the configuration", () => {
  it("names a source for each key", () => {
    expect(parseWriteKeys('{"dev":"dev","k":"shop"}')).toEqual(
      new Map([
        ["dev", "dev"],
        ["k", "shop"],
      ]),
    );
  });

  it.each(["", "[]", "null", '{"dev":1}', '{"dev":""}', '{"dev":"a\\nb"}'])("is refused when it is %j", (config) => {
    expect(() => parseWriteKeys(config)).toThrow();
  });
});
