/**
 * Runs seeds of the simulator (test/simulator) and prints how often each fault fired. Fails with the first failing seed,
 * which a run with `--from <seed> --seeds 1 --trace` repeats exactly.
 *
 *     npm run soak:simulator -- --seeds 100000 [--from n] [--jobs 2]
 */
import { installHooks } from "../test/simulator/hooks.ts";

installHooks();
const { main } = await import("../test/simulator/main.ts");
await main(process.argv.slice(2));
