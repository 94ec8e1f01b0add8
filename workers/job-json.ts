/** What the JSON of every job has, whatever its kind: made by the edge, read by the operations page and scripts/replay.ts. */
import type { JobAction, JobKind, JobState } from "../durable-objects/replay-desk/api.ts";
import type { SinkName } from "../r2-layout/sinks.ts";

/** Times are ISO 8601; null where there is none. */
export interface JobJson {
  readonly id: string;
  readonly kind: JobKind;
  readonly state: JobState;
  readonly phase: string;
  readonly sinks: readonly SinkName[];
  readonly from: string | null;
  readonly to: string | null;
  readonly progress: {
    readonly events: number;
    readonly total: number | null;
    readonly events_per_second: number;
    readonly eta_seconds: number | null;
  };
  readonly comparison:
    | readonly {
        readonly sink: SinkName;
        readonly identical: boolean;
        readonly before: number;
        readonly after: number;
        readonly differences: readonly string[];
      }[]
    | null;
  /** Events a second, at most. */
  readonly rate: number;
  readonly waits_for: string | null;
  readonly error: string | null;
  readonly attempts: number;
  /** What can be asked for, as it is now: `POST …/{id}/{action}`. */
  readonly actions: readonly JobAction[];
  readonly outcome: string | null;
  readonly note: string | null;
  readonly created_at: string;
  readonly started_at: string | null;
  readonly updated_at: string;
  readonly ended_at: string | null;
}

export interface JobsJson {
  /** Newest first. */
  readonly replays: readonly JobJson[];
  readonly next: string | null;
}
