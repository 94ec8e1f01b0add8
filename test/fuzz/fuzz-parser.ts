/** Many requests through the parser of the edge, without HTTP, on as many threads as a small machine has cores. */
import { once } from "node:events";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { checkParser, type Tally } from "./check-parser.ts";
import type { ParserResult, ParserShare } from "./parser-thread.ts";
import { type FuzzOptions, fuzzRequest } from "./requests.ts";
import { describeRequest, shrink } from "./shrink.ts";

const THREADS = 2;
const OPTIONS: FuzzOptions = { prefix: "f", largeShare: 1 / 20_000 };

/** @returns how often each outcome came. @throws Error with the smallest request that fails in the same way. */
export async function fuzzParser(seed: number, requests: number): Promise<{ requests: number; tally: Tally }> {
  const results = await Promise.all(
    Array.from({ length: THREADS }, async (_, first) => {
      const share: ParserShare = { seed, first, step: THREADS, requests, options: OPTIONS };
      const thread = new Worker(join(import.meta.dirname, "parser-thread.ts"), { workerData: share });
      // An error of the thread itself rejects.
      const [result] = await once(thread, "message");
      return result as ParserResult;
    }),
  );
  const tally: Tally = {};
  for (const result of results) {
    if (result.failure) throw await failed(seed, result.failure);
    for (const [name, count] of Object.entries(result.tally)) tally[name] = (tally[name] ?? 0) + count;
  }
  return { requests: results.reduce((sum, result) => sum + result.requests, 0), tally };
}

async function failed(seed: number, { index, wrong }: { index: number; wrong: string }): Promise<Error> {
  // Ids and numbers in the message change as the request gets smaller; its first words do not.
  const kind = wrong.slice(0, 12);
  const smallest = await shrink(
    fuzzRequest(seed, index, OPTIONS),
    (request) => checkParser(request)?.startsWith(kind) === true,
  );
  return new Error(
    `FUZZ_SEED=${seed}, request ${index}: ${wrong}\nsmallest: ${checkParser(smallest)}\n${describeRequest(smallest)}`,
  );
}
