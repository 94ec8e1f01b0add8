import { describe, expect, it } from "vitest";
import { ERASURE } from "../../../r2-layout/limits.ts";
import { erasureRequest } from "../../../workers/edge/erasures/erasure-request.ts";

describe("a request to be forgotten", () => {
  it("promise 9: takes ERASURE.identifiers of ERASURE.identifierBytes each, in ERASURE.bodyBytes, and no more", () => {
    const many = Array.from({ length: ERASURE.identifiers }, (_, n) => `${n}`.padEnd(ERASURE.identifierBytes, "x"));
    expect(JSON.stringify({ user_ids: many }).length).toBeLessThanOrEqual(ERASURE.bodyBytes);
    expect(erasureRequest({ user_ids: many }).subjects).toHaveLength(ERASURE.identifiers);
    expect(() => erasureRequest({ user_ids: many, anonymous_ids: ["one more"] })).toThrow("bad_parameter");
    expect(() => erasureRequest({ user_ids: [`${many[0]}x`] })).toThrow("bad_parameter");
  });
});
