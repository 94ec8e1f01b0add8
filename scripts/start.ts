/**
 * `npm start [-- --no-demo]`: the whole system on this machine, in the real runtime, with its state on disk.
 *
 * PORT (8787) is bound on 127.0.0.1 only. EVENTPILE_DIR (.eventpile) keeps the state, EVENTPILE_SHARDS (1) is the
 * number of log shards, EVENTPILE_CHAOS a JSON object {queue or "*": chaos} for the local queues.
 */
import { startLocal } from "./local/run.ts";

await startLocal({
  port: Number(process.env.PORT ?? 8787),
  stateDir: process.env.EVENTPILE_DIR ?? ".eventpile",
  shards: Number(process.env.EVENTPILE_SHARDS ?? 1),
  chaos: JSON.parse(process.env.EVENTPILE_CHAOS ?? "{}"),
  demo: !process.argv.includes("--no-demo"),
});
