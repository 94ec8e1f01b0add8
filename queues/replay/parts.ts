/** What the drivers are handed. */
import type { ReplaySpec } from "../../durable-objects/replay-desk/api.ts";
import type { SinkName } from "../../durable-objects/sink-cursor/api.ts";
import type { CallBudget } from "../sink.ts";
import type { HourRange } from "./hour-ranges.ts";
import type { LogRange } from "./log-ranges.ts";
import type { RowSource } from "./source.ts";
import type { ReplayTarget } from "./target.ts";

export interface ReplayParts {
  readonly shards: number;
  readonly source: RowSource;
  /** Made for one invocation: its calls are shared by all. */
  targets(calls: CallBudget): Readonly<Record<SinkName, ReplayTarget>>;
  /** What a spec's times or seqs mean in the log, up to its head as of now. */
  ranges(spec: ReplaySpec): Promise<readonly LogRange[]>;
  /** Custom rollups follow a job that has changed these hours of the rollups; named by it, so twice is once. Absent: there are none. */
  refillTiles?(job: string, windows: readonly HourRange[]): Promise<void>;
}
