/**
 * `npm run fuzz [-- --requests 1000000 --seed 1]`: fuzzed requests over HTTP against a system of its own, in the local runtime,
 * compared with SQL at the end. With `--parser` they go through the request parser alone. A failing request is printed,
 * made as small as it can be. `npm run fuzz -- --sql 20000 [--seed 1]`: so many hostile or random statements over the query Worker.
 */
import { parseArgs } from "node:util";
import { Accepted, compareStored, fuzzHttp } from "../test/fuzz/fuzz-http.ts";
import { fuzzParser } from "../test/fuzz/fuzz-parser.ts";
import { fuzzStatements } from "../test/fuzz/sql/fuzz-sql.ts";
import { startSystem } from "../test/system/harness.ts";

const ROUND = 50_000;
const SETTLE_MS = 600_000;
const SINKS = ["lake", "sessions", "rollups"];

const { values } = parseArgs({
  options: {
    requests: { type: "string" },
    seed: { type: "string" },
    parser: { type: "boolean" },
    sql: { type: "string" },
  },
});
const requests = Number(values.sql ?? values.requests ?? 1_000_000);
const seed = Number(values.seed ?? Date.now() % 1_000_000_000);
if (!Number.isSafeInteger(requests) || requests < 1 || !Number.isSafeInteger(seed)) {
  console.error(
    "usage: npm run fuzz [-- --requests <count> --seed <number> --parser], or -- --sql <count> [--seed <number>]",
  );
  process.exit(1);
}
const kind = values.sql ? "statements" : values.parser ? "requests through the parser" : "requests over HTTP";
console.log(`seed ${seed}, ${requests} ${kind}`);
try {
  if (values.sql) console.log(await fuzzStatements(seed, requests));
  else if (values.parser) console.log((await fuzzParser(seed, requests)).tally);
  else await overHttp();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}

/** In rounds: the sinks rest while requests come, then catch up. */
async function overHttp(): Promise<void> {
  const system = await startSystem({ waitFactor: 0.1 });
  try {
    const accepted = new Accepted();
    const statuses = new Map<string, number>();
    for (let first = 0; first < requests; first += ROUND) {
      const began = Date.now();
      for (const sink of SINKS) await system.chaos({ hold: true }, sink);
      const round = { seed, first, requests: Math.min(ROUND, requests - first), prefix: "f" };
      for (const [status, count] of await fuzzHttp(system, round, accepted)) {
        statuses.set(status, (statuses.get(status) ?? 0) + count);
      }
      const seconds = (Date.now() - began) / 1_000;
      for (const sink of SINKS) await system.chaos({}, sink);
      const { balanced, total } = await system.settled(SETTLE_MS);
      console.log(
        `${first + round.requests} requests, ${Math.round(round.requests / seconds)}/s, ${total.lake} events`,
      );
      if (!balanced) throw new Error(`the ledger does not balance: ${JSON.stringify(total)}`);
    }
    console.log(Object.fromEntries(statuses));
    const wrong = await compareStored(system, accepted);
    if (Object.keys(wrong).length > 0) throw new Error(`stored otherwise than accepted: ${JSON.stringify(wrong)}`);
    console.log(
      `stored as accepted: ${accepted.events.size + accepted.random.events} events, ${accepted.quarantine.size + accepted.random.quarantine} in quarantine`,
    );
  } finally {
    await system.stop();
  }
}
