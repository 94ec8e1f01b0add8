/**
 * The three stores as a rule meets them, in memory: each has read the log to a place of its own, its drains go on when the
 * job asks for their cursors, and none takes a row that was read without a rule that it knows.
 */
import { SINKS, type SinkName } from "../../../durable-objects/sink-cursor/api.ts";
import { readLog } from "../../../queues/read-log.ts";
import type { ReplayDeps } from "../../../queues/replay/consume.ts";
import { advanceJob } from "../../../queues/replay/driver.ts";
import type { ChangedRow, LakeCorrection, RuleParts } from "../../../queues/replay/rule-parts.ts";
import { type RowSourceDeps, rowSource } from "../../../queues/replay/source.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { rulesReader } from "../../../r2-layout/rule.ts";
import { bindings } from "../../bindings.ts";
import { MemoryTarget } from "./memory-target.ts";
import { Crash, desk, headOf } from "./replay-rig.ts";

const placeOf = ({ log_seq, event_id }: EventRow) => `${log_seq}/${event_id}`;
const kept = ({ event_id, anonymous_id }: EventRow) => `${event_id}@${anonymous_id}`;
const log = { logs: bindings.EVENT_LOG, bucket: bindings.BUCKET };

export class MemoryStores {
  readonly cursors: Record<SinkName, number> = { lake: 0, sessions: 0, rollups: 0 };
  readonly rollups = new MemoryTarget("rollups", () => new Map([[0, this.cursors.rollups]]), [], 2, kept);
  #lake = new Map<string, { readonly row: EventRow; readonly rules: number }>();
  readonly #timelines = new Map<string, EventRow>();
  readonly #swapped = new Map<string, number>();
  #snapshot = 1;
  #fence = 0;

  get lakeRows(): string[] {
    return [...this.#lake.values()].map(({ row }) => kept(row)).sort();
  }

  get timelineRows(): string[] {
    return [...this.#timelines.values()].map(kept).sort();
  }

  /** A sink's drain reads up to a place. */
  async drain(sink: SinkName, to: number): Promise<void> {
    for await (const step of readLog({ shard: 0, after: this.cursors[sink], to }, log, { sink })) {
      if (sink !== "sessions" && step.rules < this.#fence) throw new Error(`${sink} knows rule ${this.#fence}`);
      for (const row of step.events) {
        if (sink === "lake") this.#lake.set(placeOf(row), { row, rules: step.rules });
        if (sink === "sessions" && !this.#timelines.has(placeOf(row))) this.#timelines.set(placeOf(row), row);
        if (sink === "rollups") this.rollups.live.push(kept(row));
      }
      this.cursors[sink] = step.to;
    }
  }

  async fence(version: number): Promise<void> {
    this.#fence = Math.max(this.#fence, version);
  }

  async correctLake({ version, rules }: LakeCorrection, onPage: (page: never) => Promise<void>): Promise<"done"> {
    const rows = this.#changes(version, rules.get(0)!);
    await onPage({ file: 1, page: 0, rows } as never);
    return "done";
  }

  async swapLake({ job, version, rules }: LakeCorrection): Promise<{ snapshot: number }> {
    if (!this.#swapped.has(job)) {
      for (const { before, after } of this.#changes(version, rules.get(0)!)) {
        if (after) this.#lake.set(placeOf(before), { row: after, rules: version });
        else this.#lake.delete(placeOf(before));
      }
      this.#swapped.set(job, ++this.#snapshot);
    }
    return { snapshot: this.#swapped.get(job)! };
  }

  async amend(pairs: readonly ChangedRow[]) {
    let changed = 0;
    for (const { before, after } of pairs) {
      if (after) this.#timelines.set(placeOf(before), after);
      else this.#timelines.delete(placeOf(before));
      changed++;
    }
    return { added: 0, replaced: changed, removed: 0, beyondReach: 0 };
  }

  lake() {
    return { snapshot: this.#snapshot, cursors: { 0: this.cursors.lake } };
  }

  /** What one consumer process is handed. */
  consumer(crash = new Crash()): ReplayDeps {
    const sources: RowSourceDeps = {
      ...log,
      lakeRows: () => {
        throw new Error("the log has it all");
      },
      holes: async () => [],
      lakeCursor: null,
    };
    const plain = bindings.EVENT_LOG;
    const withoutRules = {
      getByName: (name: string) => ({
        segments: async (...args: [number]) => ({ ...(await plain.getByName(name).segments(...args)), rules: 0 }),
        count: (after: number, to?: number) => plain.getByName(name).count(after, to),
        rules: async () => ({ version: 0, rules: [] }),
        between: (from: number, to: number) => plain.getByName(name).between(from, to),
      }),
    };
    const stores = crash.within(this as MemoryStores, ["fence", "correctLake", "swapLake", "amend"]);
    const rollups = crash.within(this.rollups, ["plan", "add", "swap", "confirm"]);
    const parts: RuleParts = {
      erasure: () => {
        throw new Error("no erasures here");
      },
      shards: 1,
      epoch: 0,
      bucket: crash.within(bindings.BUCKET as RuleParts["bucket"], ["put"]),
      logs: { getByName: (name) => crash.within(plain.getByName(name) as never, ["raise" as never]) },
      source: rowSource(sources),
      lakeSource: rowSource(sources),
      // Each run has one rule.
      sourceBelow: () => rowSource({ ...sources, logs: withoutRules }),
      targets: () => ({ rollups }) as never,
      correctedRollups: () => rollups,
      ranges: async () => [],
      // No job here asks for any.
      tiles: null as never,
      lake: async () => this.lake(),
      cursors: async () => {
        const head = await headOf(0);
        for (const sink of SINKS) await this.drain(sink, head);
        return { lake: [head], sessions: [head], rollups: [head] };
      },
      fence: (version) => stores.fence(version),
      correctLake: (correction, onPage) => stores.correctLake(correction, onPage as never),
      swapLake: (correction) => stores.swapLake(correction),
      settleRollups: async () => {},
      doubtRollups: async () => {},
      amend: (pairs) => stores.amend(pairs),
    };
    return {
      desk: crash.within(desk(), ["lease", "save", "release", "takeRule", "standAside", "ruleRaised"]),
      hold: async () => null,
      advance: (slice) => advanceJob(slice, parts),
    };
  }

  /** Rows of the lake that rules newer than their own change. */
  #changes(version: number, rules: Parameters<typeof rulesReader>[0]): ChangedRow[] {
    return [...this.#lake.values()].flatMap(({ row, rules: passed }) => {
      const after = rulesReader(rules.filter((rule) => rule.version > passed && rule.version <= version))(row);
      return after === row ? [] : [{ before: row, after }];
    });
  }
}
