import { describe, expect, it } from "vitest";
import { requestFacts } from "../../../workers/edge/request-facts.ts";

const CF = { country: "DE", region: "Hesse", city: "Frankfurt am Main" };

function factsOf(headers: Record<string, string>, local: boolean, cf: unknown = CF) {
  const request = Object.assign(new Request("https://x.example/v1/t", { headers }), { cf });
  return requestFacts(request, { source: "shop", call: "track", receivedAt: 1, local });
}

describe("where a request came from", () => {
  it.each([
    ["is the connection's place", {}, CF, { country: "DE", region: "Hesse", city: "Frankfurt am Main" }],
    ["is unknown where the network says XX", {}, { country: "XX" }, { country: null, region: null, city: null }],
    ["is unknown where nothing was looked up", {}, null, { country: null, region: null, city: null }],
    ["keeps Tor's code", {}, { country: "T1" }, { country: "T1" }],
  ])("%s", (_, headers, cf, expected) => {
    expect(factsOf(headers, false, cf)).toMatchObject(expected);
  });

  it("can be named by a header in the local run, as a whole", () => {
    const headers = { "x-eventpile-country": "jp", "x-eventpile-city": "Osaka" };
    expect(factsOf(headers, true)).toMatchObject({ country: "JP", region: null, city: "Osaka" });
    expect(factsOf({}, true)).toMatchObject({ country: "DE" });
  });

  it("cannot be named by a header anywhere else", () => {
    expect(factsOf({ "x-eventpile-country": "jp" }, false)).toMatchObject({ country: "DE" });
  });

  it("never comes with a time of the sender's choice", () => {
    expect(factsOf({ "x-eventpile-received-at": "2001-01-01T00:00:00Z" }, true).receivedAt).toBe(1);
  });
});
