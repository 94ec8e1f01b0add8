/** A share of the requests through the parser, on a thread of its own. Stops at the first that fails. */
import { parentPort, workerData } from "node:worker_threads";
import { checkParser, type Tally } from "./check-parser.ts";
import { type FuzzOptions, fuzzRequest } from "./requests.ts";

export interface ParserShare {
  readonly seed: number;
  /** Of all requests, each `step`th from `first` on. */
  readonly first: number;
  readonly step: number;
  readonly requests: number;
  readonly options: FuzzOptions;
}

export interface ParserResult {
  readonly tally: Tally;
  readonly requests: number;
  readonly failure: { readonly index: number; readonly wrong: string } | null;
}

// A tenth of the requests is no JSON; their stacks are never read.
Error.stackTraceLimit = 0;
const { seed, first, step, requests, options } = workerData as ParserShare;
const tally: Tally = {};
let failure: ParserResult["failure"] = null;
let done = 0;
for (let index = first; index < requests && failure === null; index += step, done++) {
  const wrong = checkParser(fuzzRequest(seed, index, options), tally);
  if (wrong !== null) failure = { index, wrong };
}
parentPort!.postMessage({ tally, requests: done, failure } satisfies ParserResult);
