/** FUZZ_SEED repeats a run, FUZZ_REQUESTS makes it longer. */
import { describe, expect, it } from "vitest";
import { checkParser } from "./check-parser.ts";
import { fuzzParser } from "./fuzz-parser.ts";
import { fuzzRequest } from "./requests.ts";
import { shrink } from "./shrink.ts";

const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000_000);
const REQUESTS = Number(process.env.FUZZ_REQUESTS ?? 1_000_000);

describe(`FUZZ_SEED=${SEED}`, () => {
  it(`of ${REQUESTS.toLocaleString("en")} fuzzed requests each event has an outcome, and what is kept fits its columns (promises 1, 9)`, {
    timeout: 600_000,
  }, async () => {
    const began = performance.now();
    const { requests, tally } = await fuzzParser(SEED, REQUESTS);
    console.log(`FUZZ_SEED=${SEED} ${Math.round(performance.now() - began)} ms`, tally);
    expect(requests).toBe(REQUESTS);
    // The generator reaches what there is to reach; what lies at megabytes has its own tests.
    const reached = Object.keys(tally);
    const named = [
      "ok",
      "refused empty_body",
      "refused bad_gzip",
      "refused bad_json",
      "refused json_too_complex",
      "drop not_json",
      "drop not_an_object",
      "drop event_too_large",
      "drop event_too_deep",
      "drop id_too_long",
      "warning missing_name",
      "warning unknown_type",
      "warning wrong_type",
      "warning bad_time",
    ];
    if (REQUESTS >= 100_000) expect(named.filter((name) => !reached.includes(name))).toEqual([]);
  });
});

it("a request is the same one each time, and a failing one is made smaller for as long as it fails", async () => {
  const options = { prefix: "f", largeShare: 0 };
  const requests = Array.from({ length: 300 }, (_, i) => fuzzRequest(7, i, options));
  expect(Array.from({ length: 300 }, (_, i) => fuzzRequest(7, i, options))).toEqual(requests);
  const hasClicked = (request: { body: Uint8Array }) => Buffer.from(request.body).includes("Clicked");
  const smallest = await shrink(requests.find(hasClicked)!, hasClicked);
  expect(Buffer.from(smallest.body).toString()).toBe("Clicked");
  expect(smallest.headers).toEqual({});
  expect(checkParser(smallest)).toBeNull();
});
