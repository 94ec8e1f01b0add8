/** A store for replays of which everything is known: it keeps the contract of queues/replay/target.ts, and holds the driver to it. */
import type { SinkName } from "../../../durable-objects/sink-cursor/api.ts";
import type { ReplayJob, ReplayRead, ReplayStep, ReplayTarget } from "../../../queues/replay/target.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";

interface Build {
  readonly upTo: ReadonlyMap<number, number>;
  readonly added: Map<number, { step: number; to: number }>;
  readonly steps: Map<string, string>;
  readonly ids: string[];
}

export class MemoryTarget implements ReplayTarget {
  readonly sink: SinkName;
  readonly maxEvents: number;
  /** The live store: event ids. */
  live: string[];
  old: string[] | null = null;
  readonly builds = new Map<string, Build>();
  readonly ended = new Set<string>();
  readonly confirmed: string[] = [];
  /** By shard: where the live store stands, and a build has to come to. */
  heads: () => ReadonlyMap<number, number>;
  /** What it keeps of an event. */
  readonly keeps: (row: EventRow) => string;
  #more = 0;

  constructor(
    sink: SinkName,
    heads: () => ReadonlyMap<number, number>,
    live: readonly string[] = [],
    maxEvents = 2,
    keeps: (row: EventRow) => string = ({ event_id }) => event_id,
  ) {
    this.sink = sink;
    this.heads = heads;
    this.live = [...live];
    this.maxEvents = maxEvents;
    this.keeps = keeps;
  }

  /** The next calls answer "more" first. */
  askForMore(times: number): void {
    this.#more = times;
  }

  async fill(_job: ReplayJob, step: ReplayStep): Promise<number | "more"> {
    if (this.#more-- > 0) return "more";
    const missing = step.events.map(this.keeps).filter((kept) => !this.live.includes(kept));
    this.live.push(...missing);
    return missing.length;
  }

  async plan(job: ReplayJob): Promise<readonly ReplayRead[]> {
    if (this.ended.has(job.id)) throw new RangeError(`${job.id} has ended`);
    let build = this.builds.get(job.id);
    if (!build) {
      build = { upTo: new Map(this.heads()), added: new Map(), steps: new Map(), ids: [] };
      this.builds.set(job.id, build);
    }
    const { added } = build;
    return [...build.upTo].flatMap(([shard, to]) => {
      const at = added.get(shard) ?? { step: 0, to: 0 };
      return at.to < to ? [{ shard, after: at.to, to, steps: at.step }] : [];
    });
  }

  async add(job: ReplayJob, step: ReplayStep): Promise<"more" | undefined> {
    if (this.#more-- > 0) return "more";
    const build = this.builds.get(job.id);
    if (!build) throw new RangeError(`${job.id} has no build`);
    const cut = `${step.from}-${step.to}`;
    const name = `${step.shard}/${step.step}`;
    const known = build.steps.get(name);
    if (known !== undefined) {
      if (known !== cut) throw new RangeError(`step ${name} was ${known}, is ${cut}`);
      return undefined;
    }
    const at = build.added.get(step.shard) ?? { step: 0, to: 0 };
    if (step.step !== at.step + 1 || step.from !== at.to) throw new RangeError(`step ${name} ${cut} does not follow`);
    build.steps.set(name, cut);
    build.added.set(step.shard, { step: step.step, to: step.to });
    build.ids.push(...step.events.map(this.keeps));
    return undefined;
  }

  async compare(job: ReplayJob) {
    const { ids } = this.builds.get(job.id)!;
    const identical = ids.toSorted().join() === this.live.toSorted().join();
    return { identical, before: this.live.length, after: ids.length, differences: identical ? [] : ["ids"] };
  }

  async swap(job: ReplayJob): Promise<void> {
    if (this.ended.has(job.id)) return;
    const { ids } = this.builds.get(job.id)!;
    this.old = this.live;
    this.live = ids;
    this.ended.add(job.id);
  }

  async revert(job: ReplayJob): Promise<void> {
    if (this.confirmed.includes(job.id)) throw new RangeError(`${job.id} was confirmed`);
    if (this.old) this.live = this.old;
    this.old = null;
  }

  async confirm(job: ReplayJob): Promise<"done" | "more"> {
    if (this.#more-- > 0) return "more";
    this.old = null;
    this.confirmed.push(job.id);
    return "done";
  }

  async abandon(job: ReplayJob): Promise<"built" | "before" | "more"> {
    if (this.#more-- > 0) return "more";
    const isBuilt = this.old !== null || this.confirmed.includes(job.id);
    this.old = null;
    this.builds.delete(job.id);
    this.ended.add(job.id);
    return isBuilt ? "built" : "before";
  }

  async discard(job: ReplayJob): Promise<"done" | "more"> {
    if (this.#more-- > 0) return "more";
    this.builds.delete(job.id);
    this.ended.add(job.id);
    return "done";
  }
}
