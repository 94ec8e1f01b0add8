/** `npm run maintenance`: compaction and sweeps of a running local system now, instead of on their schedule. */
import { runMaintenance, systemUrl } from "./local/running-system.ts";

const started = performance.now();
try {
  await runMaintenance();
  console.log(`maintenance of ${systemUrl()} done in ${((performance.now() - started) / 1_000).toFixed(1)} s`);
} catch (error) {
  const cause = error instanceof Error && error.cause ? `${systemUrl()} cannot be reached: ${error.cause}` : error;
  console.error(`maintenance: ${cause instanceof Error ? cause.message : String(cause)}`);
  process.exitCode = 1;
}
