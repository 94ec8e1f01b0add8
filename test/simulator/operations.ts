/**
 * What operators do while traffic runs: corrections, rebuilds, fills, audits, each a job of the ReplayDesk, steered to its
 * end through the same calls that the edge makes. A job that fails is resumed, one that waits for a decision gets one.
 */

import {
  type Job,
  type JobAction,
  type JobSpec,
  REPLAY_DESK_NAME,
  type ReplayDeskApi,
} from "../../durable-objects/replay-desk/api.ts";
import { SINKS, type SinkName } from "../../durable-objects/sink-cursor/api.ts";
import type { RuleChange, RuleFilter } from "../../r2-layout/rule.ts";
import { dayOf } from "../../r2-layout/time.ts";
import type { Random } from "../../scripts/demo/random.ts";
import { Process } from "./platform/scheduler.ts";
import type { Scenario } from "./scenarios.ts";
import type { World } from "./world.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const RATE = 1_000_000;
const RESUMES_MAX = 40;
const ABANDONED_AFTER = 3;

/** What a replay may fail with for good, by design: then it is abandoned. Everything else time must cure. */
const FOR_GOOD = /^holes:|what it put in has been replaced since/;

export const isToBeAbandoned = ({ kind, actions, error }: Job): boolean =>
  (kind === "rebuild" || kind === "fill") && actions.includes("abandon") && FOR_GOOD.test(error ?? "");

type Steered = Pick<
  Scenario,
  "kinds" | "sinks" | "reverts" | "cancels" | "identities" | "manual" | "windows" | "lookMaxMs"
>;

export class Operations {
  /** Jobs that did not come to an end. */
  readonly stuck: string[] = [];
  /** Ids of jobs that were made. */
  readonly jobs = new Set<string>();
  readonly #world: World;
  readonly #random: Random;
  readonly #scenario: Steered;
  #numbers = 0;
  /** From now on nothing is cancelled: what the audit of the run compares with has to be settled. */
  #isClosing = false;

  constructor(world: World, scenario: Steered) {
    this.#world = world;
    this.#scenario = scenario;
    this.#random = world.random;
  }

  /** Some operations, begun within a time from now on. */
  plan(count: number, spanMs: number): void {
    for (let i = 0; i < count; i++) this.#later(this.#random.next() * spanMs, () => this.#begin(this.#drawn()));
  }

  /** Looks through these days for ids that are in two shards, and settles them. */
  audit(days: readonly string[]): void {
    this.#isClosing = true;
    this.#begin({ kind: "audit", days, rate: RATE });
  }

  #drawn(): JobSpec {
    const random = this.#random;
    const { now } = this.#world.scheduler;
    const sinks = SINKS.filter(() => random.chance(0.5));
    const some: readonly SinkName[] = this.#scenario.sinks ?? (sinks.length > 0 ? sinks : [random.pick(SINKS)]);
    const bounded = random.chance(this.#scenario.windows);
    const from = bounded ? Math.floor((now - random.int(0, 3) * HOUR_MS) / HOUR_MS) * HOUR_MS : null;
    const to = bounded && random.chance(0.5) ? from! + random.int(1, 5) * HOUR_MS : null;
    const range = { sinks: some, from, to, range: null, rate: RATE };
    const kinds = Object.entries(this.#scenario.kinds) as [keyof Scenario["kinds"], number][];
    const { kind } = random.weighted(kinds.map(([kind, weight]) => ({ kind, weight })));
    switch (kind) {
      case "correction":
        return { kind: "correction", filter: this.#filter(), change: this.#change(), note: null, rate: RATE };
      case "rebuild":
        return {
          kind: "rebuild",
          ...range,
          swap: this.#scenario.manual ? "manual" : random.pick(["automatic", "manual"]),
        };
      case "fill":
        return { kind: "fill", ...range };
      case "audit":
        return { kind: "audit", days: [0, DAY_MS].map((ago) => dayOf((now - ago) * 1_000)), rate: RATE };
    }
  }

  #filter(): RuleFilter {
    const random = this.#random;
    if (this.#scenario.identities) return { where: {} };
    const nowUs = Math.floor(this.#world.scheduler.now) * 1_000;
    const where: Record<string, readonly (string | null)[]> = {};
    if (random.chance(0.5)) where.app_version = [random.pick(["1.0", "1.1", null])];
    if (random.chance(0.3)) where.anonymous_id = [random.pick(["device-0", "device-1", null])];
    if (random.chance(0.2)) where.country = ["DE", "FR"];
    return {
      ...(random.chance(0.4) && { from: nowUs - random.int(1, 7_200) * 1_000_000 }),
      ...(random.chance(0.3) && { to: nowUs + random.int(-600, 600) * 1_000_000 }),
      where,
    };
  }

  #change(): RuleChange {
    const random = this.#random;
    const { identities } = this.#scenario;
    if (identities) {
      const others = [
        { anonymous_id: "device-7", user_id: null },
        { user_id: "user-9" },
        { anonymous_id: null, user_id: "user-1" },
      ];
      return { kind: "set", values: random.pick(others) };
    }
    if (random.chance(0.25)) return { kind: "retract" };
    if (random.chance(0.5)) {
      // The second is seen where it is applied twice.
      const values = random.pick<Readonly<Record<string, string>>>([
        { "device-0": "device-1", "device-2": "device-9" },
        { "device-0": "device-1", "device-1": "device-0" },
      ]);
      return { kind: "map", field: "anonymous_id", values };
    }
    const values = random.pick([
      { anonymous_id: "device-7" },
      { user_id: "user-9" },
      { country: "AT", "properties.fixed": "yes" },
      { revenue: 12.5, currency: "EUR" },
      { event_name: "Renamed" },
      { anonymous_id: null, user_id: "user-1" },
    ]);
    return { kind: "set", values };
  }

  #begin(spec: JobSpec): void {
    const id = `${spec.kind}-${++this.#numbers}`;
    this.#world.weather.count("operation", spec.kind);
    this.#later(0, () => this.#steer(id, spec, 0, 0));
  }

  /** One look at the job by a process of its own, which may fail or die: then there is another. */
  #steer(id: string, spec: JobSpec, looks: number, resumes: number): void {
    const process = new Process(`operator of ${id}`);
    const desk = (
      this.#world.bindings("edge", process).REPLAY_DESK as { getByName(name: string): ReplayDeskApi }
    ).getByName(REPLAY_DESK_NAME);
    this.#world.pending++;
    let over = false;
    const next = (more: boolean, resumed = false) => {
      if (over) return;
      over = true;
      this.#world.pending--;
      const waitMs =
        Math.min(this.#scenario.lookMaxMs, 3 * SECOND_MS * 2 ** Math.min(looks, 10)) * (0.5 + this.#random.next());
      if (more) this.#later(waitMs, () => this.#steer(id, spec, looks + 1, resumes + (resumed ? 1 : 0)));
    };
    process.onDeath.push(() => next(true));
    this.#world.scheduler.after(0, process, process.name, () => {
      this.#look(desk, id, spec, resumes).then(
        (outcome) => next(outcome !== "over", outcome === "resumed"),
        () => next(true),
      );
    });
  }

  async #look(desk: ReplayDeskApi, id: string, spec: JobSpec, resumes: number): Promise<"over" | "more" | "resumed"> {
    const job = await desk.job(id);
    if (!job) {
      const answer = await desk.create({ id, spec });
      if (answer.kind !== "created" && answer.kind !== "known") return "over"; // Another has the sink: not now.
      this.jobs.add(id);
      return "more";
    }
    if (job.endedAt !== null) return "over";
    if (job.state === "failed" && resumes >= RESUMES_MAX) {
      this.stuck.push(`${id} has failed ${resumes} times: ${job.error}`);
      return "over";
    }
    const action = this.#decision(job, resumes);
    if (action) await desk.act(id, action);
    return action === "resume" ? "resumed" : "more";
  }

  #decision(job: Job, resumes: number): JobAction | null {
    const random = this.#random;
    switch (job.state) {
      case "preview":
        return random.chance(0.9) ? "confirm" : "cancel";
      case "waiting_for_swap":
        return random.chance(0.8) ? "swap" : "cancel";
      case "waiting_for_confirmation":
        return random.chance(this.#scenario.reverts) ? "revert" : random.chance(0.65) ? "confirm" : null;
      case "failed":
        // What time does not cure is let go, or taken back, where it may be; and given up where neither may be. A rule that is
        // set aside would stay in force and not be carried through.
        if (resumes >= ABANDONED_AFTER && isToBeAbandoned(job) && random.chance(0.2)) return "abandon";
        return random.chance(0.6) ? "resume" : random.pick<JobAction>(["cancel", "revert"]);
      case "running":
        return !this.#isClosing && random.chance(this.#scenario.cancels) ? "cancel" : null;
      default:
        return null;
    }
  }

  #later(delayMs: number, run: () => void): void {
    this.#world.pending++;
    this.#world.scheduler.after(delayMs, null, "an operator comes", () => {
      this.#world.pending--;
      run();
    });
  }
}
