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

/** After midnight UTC: the day before has been drained, and most of the world is quiet. */
const AUDIT_AFTER_MS = 127 * MINUTE_MS;
/** The last day that an audit was begun for. */
const AUDITED_UNTIL = "audited-until";
/** By shard: up to where republished events are settled, or are being. */
const SETTLED_UNTIL = "settled-until";

/** @param all an audit of today, too, at once: local runs and tests ask for it. */
export async function createDueJobs(deps: DueJobDeps, nowMs: number, all: boolean): Promise<void> {
  const day = (backMs: number) => dayOf((nowMs - backMs) * MICROS_PER_MS);
  const minute = Math.floor(nowMs / MINUTE_MS);
  if (all) await createAudit(deps.desk, `audit-now-${minute}`, [day(DAY_MS), day(0)]);
  await createDailyAudit(deps.desk, nowMs - AUDIT_AFTER_MS);
  await createSettlement(deps);
  // Should the desk's alarm have been given up.
  await deps.desk.poke();
}

/**
 * Of all days since the last one, beginning with the first that is looked at: a turn of the cron may be lost, and so may a
 * day of them. @param nowMs less what a day waits for its audit
 */
async function createDailyAudit(desk: ReplayDeskApi, nowMs: number): Promise<void> {
  const today = Math.floor(nowMs / DAY_MS);
  const until = dayOf((today - 1) * DAY_MS * MICROS_PER_MS);
  const last = await desk.mark(AUDITED_UNTIL);
  if (last === until) return;
  if (last === null) return desk.setMark(AUDITED_UNTIL, until);
  const first = Date.parse(last) / DAY_MS + 1;
  const days: string[] = [];
  for (let day = Math.max(first, today - REPLAY.auditDays); day < today; day++) {
    days.push(dayOf(day * DAY_MS * MICROS_PER_MS));
  }
  // A clock that went back: the day was audited.
  if (days.length === 0) return;
  const answer = await createAudit(desk, `audit-${until}`, days);
  if (answer.kind === "created" || answer.kind === "known") await desk.setMark(AUDITED_UNTIL, until);
}

async function createAudit(desk: ReplayDeskApi, id: string, days: readonly string[]) {
  return desk.create({ id, spec: { kind: "audit", days, rate: REPLAY.rate } });
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
