/**
 * Jobs that nobody asks for: each minute a settlement of what was republished since the last, each day an audit of the
 * day before. Called by the cron; doing it twice is doing it once, because a job is named by what it is about.
 */
import { createHash } from "node:crypto";
import type { EventLogPlacesApi } from "../../durable-objects/event-log/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { ReplayDeskApi, SettlementSpec } from "../../durable-objects/replay-desk/api.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { DAY_MS, MINUTE_MS, REPLAY } from "../../r2-layout/limits.ts";
import { dayOf, MICROS_PER_MS } from "../../r2-layout/time.ts";

export interface DueJobDeps {
  readonly desk: ReplayDeskApi;
  readonly logs: ObjectNamespace<Pick<EventLogPlacesApi, "republishedAfter">>;
  readonly shards: number;
}

/** Minute of the day, UTC: the day before has been drained, and most of the world is quiet. */
const AUDIT_AT_MINUTE = 2 * 60 + 7;
/** By shard: up to where republished events are settled, or are being. */
const SETTLED_UNTIL = "settled-until";

/** @param all an audit of today, too, at once: local runs and tests ask for it. */
export async function createDueJobs(deps: DueJobDeps, nowMs: number, all: boolean): Promise<void> {
  const day = (backMs: number) => dayOf((nowMs - backMs) * MICROS_PER_MS);
  const minute = Math.floor(nowMs / MINUTE_MS);
  if (all) await createAudit(deps.desk, `audit-now-${minute}`, [day(DAY_MS), day(0)]);
  if (minute % (DAY_MS / MINUTE_MS) === AUDIT_AT_MINUTE) {
    await createAudit(deps.desk, `audit-${day(DAY_MS)}`, [day(DAY_MS)]);
  }
  await createSettlement(deps);
  // Should the desk's alarm have been given up.
  await deps.desk.poke();
}

async function createAudit(desk: ReplayDeskApi, id: string, days: readonly string[]): Promise<void> {
  await desk.create({ id, spec: { kind: "audit", days, rate: REPLAY.rate } });
}

/**
 * One settlement at a time: what comes while one is open is the next one's. The mark moves once the job is there; a crash
 * between the two makes a job of the same name, or one that finds nothing left to settle.
 */
async function createSettlement({ desk, logs, shards }: DueJobDeps): Promise<void> {
  const { jobs } = await desk.overview(["settlement"], 1);
  if (jobs.some(({ endedAt }) => endedAt === null)) return;
  const until = JSON.parse((await desk.mark(SETTLED_UNTIL)) ?? "{}") as Record<string, number>;
  const reads: SettlementSpec["reads"][number][] = [];
  for (let shard = 0; shard < shards; shard++) {
    const found = await logs.getByName(shardName(shard)).republishedAfter(until[shard] ?? 0);
    if (found.length > 0) reads.push({ shard, after: found[0]!.seq - 1, to: found.at(-1)!.seq });
  }
  if (reads.length === 0) return;
  const name = createHash("sha256").update(JSON.stringify(reads)).digest("hex").slice(0, 24);
  const answer = await desk.create({
    id: `settlement-${name}`,
    spec: { kind: "settlement", reads, rate: REPLAY.rate },
  });
  if (answer.kind !== "created" && answer.kind !== "known") return;
  for (const { shard, to } of reads) until[shard] = to;
  await desk.setMark(SETTLED_UNTIL, JSON.stringify(until));
}
