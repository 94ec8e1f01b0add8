/**
 * `npm start [-- --no-demo]`: the whole system on this machine, in the real runtime, with its state on disk.
 *
 * PORT (8787) is bound on 127.0.0.1 only. EVENTPILE_DIR (.eventpile) keeps the state, EVENTPILE_SHARDS (1; after a split 1,2) is the
 * number of log shards. For tests: EVENTPILE_CHAOS is a JSON object of what is to go wrong (scripts/local/chaos-setting.ts),
 * EVENTPILE_WAIT_FACTOR (1) scales what the system waits for (r2-layout/wait.ts), EVENTPILE_METER=1 counts what it uses (/local/usage),
 * EVENTPILE_SILENT_MS (45000) is how long the runtime may answer nobody (scripts/local/watchdog.ts).
 */
import { startLocal } from "./local/run.ts";
import { SILENT_MS } from "./local/watchdog.ts";

await startLocal({
  port: Number(process.env.PORT ?? 8787),
  stateDir: process.env.EVENTPILE_DIR ?? ".eventpile",
  shards: process.env.EVENTPILE_SHARDS ?? "1",
  chaos: process.env.EVENTPILE_CHAOS || "{}",
  waitFactor: Number(process.env.EVENTPILE_WAIT_FACTOR || 1),
  meter: process.env.EVENTPILE_METER === "1",
  silentMs: Number(process.env.EVENTPILE_SILENT_MS || SILENT_MS),
  demo: !process.argv.includes("--no-demo"),
});
