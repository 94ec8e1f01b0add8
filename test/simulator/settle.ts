/**
 * Faults end. Everything that is on its way arrives, edges say what they have not said, jobs come to their end, and every
 * sink catches up; for as long as that takes the cron comes by.
 */
import {
  type Job,
  type JobAction,
  type JobState,
  REPLAY_DESK_NAME,
  type ReplayDeskApi,
} from "../../durable-objects/replay-desk/api.ts";
import { SINKS } from "../../durable-objects/sink-cursor/api.ts";
import { dayOf } from "../../r2-layout/time.ts";
import type { Random } from "../../scripts/demo/random.ts";
import type { AuditEnv } from "./audit.ts";
import { ledgerOf } from "./audit-ledger.ts";
import { openHoles, planRedrives } from "./damage.ts";
import { isToBeAbandoned, type Operations } from "./operations.ts";
import type { Bindings } from "./platform/objects.ts";
import type { Traffic } from "./traffic.ts";
import type { World } from "./world.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** A world that moves for longer than this without faults does not settle. */
const SETTLE_MS = 4 * DAY_MS;
const REDRIVE_ROUNDS = 4;
const EVENTS_MAX = 400_000;

/** Of jobs that nobody steers any more. */
const DECISIONS: Readonly<Partial<Record<JobState, JobAction>>> = {
  preview: "confirm",
  waiting_for_swap: "swap",
  waiting_for_confirmation: "confirm",
  failed: "resume",
};

/** A replay that fails so often, without faults, is one that the desk wants to be abandoned: its old build has lines twice, say. */
const RESUMES_MAX = 5;

/** @throws Error where it never comes to rest */
export async function settle(world: World, traffic: Traffic, operations: Operations, random: Random): Promise<void> {
  const { scheduler, weather } = world;
  weather.active = false;
  await untilQuiet(world, scheduler.now + SETTLE_MS);
  // A sink must come to the head without an event that happens to wake it.
  if (random.chance(operations.jobs.size > 0 ? 0.9 : 0.1)) await caughtUp(world);
  traffic.sayLastWords();
  await caughtUp(world);
  if (world.damaged.size > 0 && random.chance(0.85)) {
    // What came back may have gone bad itself.
    for (let round = 0; round < REDRIVE_ROUNDS && (await openHoles(world)) > 0; round++) {
      planRedrives(world, random, 0, 1);
      await caughtUp(world);
    }
  }
  if (traffic.hasTwins) {
    const days = new Set<string>();
    for (let at = world.beganAt - DAY_MS; at < scheduler.now + DAY_MS; at += DAY_MS) days.add(dayOf(at * 1_000));
    operations.audit([...days]);
    await caughtUp(world);
  }
}

/** No sink is behind, no job is open, and a turn of the cron finds nothing more to do. */
async function caughtUp(world: World): Promise<void> {
  const untilMs = world.scheduler.now + SETTLE_MS;
  await untilQuiet(world, untilMs);
  const resumed = new Map<string, number>();
  /** The newest job when none was open; null where one was. */
  for (let before = await newestJob(world), waitMs = MINUTE_MS; ; waitMs = Math.min(HOUR_MS, waitMs * 1.5)) {
    world.cron();
    await runFor(world, waitMs);
    await untilQuiet(world, untilMs);
    const { newest, open, behind } = await world.ask(async (env) => {
      const ledger = await ledgerOf(env as unknown as AuditEnv, world.shards);
      const { jobs } = await deskOf(env).overview();
      // An operator who was told that the sink is busy has gone; the call that he gave up may have made the job all the same.
      for (const job of jobs) {
        const action = decision(job, resumed);
        if (action) await deskOf(env).act(job.id, action);
      }
      return {
        newest: jobs[0]?.id ?? "",
        open: jobs.some(({ endedAt }) => endedAt === null),
        behind: ledger.shards.some(({ sinks }) => SINKS.some((sink) => sinks[sink].lag_segments > 0)),
      };
    });
    if (!open && !behind && world.isQuiet && newest === before) return;
    before = open ? null : newest;
    await untilQuiet(world, untilMs);
  }
}

function decision(job: Job, resumed: Map<string, number>): JobAction | undefined {
  const { id, state } = job;
  const times = (resumed.get(id) ?? 0) + (state === "failed" ? 1 : 0);
  resumed.set(id, times);
  return times > RESUMES_MAX && isToBeAbandoned(job) ? "abandon" : DECISIONS[state];
}

function newestJob(world: World): Promise<string | null> {
  return world.ask(async (env) => {
    const { jobs } = await deskOf(env).overview();
    return jobs.some(({ endedAt }) => endedAt === null) ? null : (jobs[0]?.id ?? "");
  });
}

const deskOf = (env: Bindings) =>
  (env.REPLAY_DESK as { getByName(name: string): ReplayDeskApi }).getByName(REPLAY_DESK_NAME);

export async function runFor(world: World, ms: number): Promise<void> {
  let over = false;
  world.scheduler.after(ms, null, "time is over", () => {
    over = true;
  });
  await world.scheduler.run(() => over || outOfEvents(world));
}

async function untilQuiet(world: World, untilMs: number): Promise<void> {
  await world.scheduler.run(() => {
    if (world.scheduler.now > untilMs) throw new Error(`does not settle: ${world.stirring}`);
    return world.isQuiet || outOfEvents(world);
  });
}

function outOfEvents(world: World): boolean {
  if (world.scheduler.events > EVENTS_MAX) throw new Error(`more than ${EVENTS_MAX} events`);
  return false;
}
