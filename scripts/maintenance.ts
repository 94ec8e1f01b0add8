/** `npm run maintenance`: runs the cron of a running local system now (checkpoints, compaction, sweeps) and waits. */
import { control } from "./local/running-system.ts";

console.log(JSON.stringify(await control("POST", "/local/cron")));
