/**
 * The fan-out stage: a queue batch becomes one segment of its shard's log. The object is written first, the commit names
 * it, then the messages are acked:
 *
 *     crash before the object         the batch comes again
 *     crash between object, commit    the batch comes again under a new key; the object that no row names is swept
 *     crash between commit, ack       the batch comes again; the log owns every message, nothing is left to commit
 *     commit's answer lost            the same: the object is never deleted here, for the log may name it
 *     batch comes twice at once       the second commit is refused with what is owned, drops it and tries again
 *     a rule keeps somebody out       the commit is refused until the lines about them are left out: no line above the rule's
 *                                     place is about them, however long it was on its way
 *
 * A message from before a split is divided between the old shard and the new ones (route.ts), each with its own segment
 * and commit, the message's own shard last.
 */
import { monotonicFactory } from "ulidx";
import type { EventLogApi } from "../../durable-objects/event-log/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { EventMessage } from "../../r2-layout/event-message.ts";
import { parseMessage } from "../../r2-layout/event-message.ts";
import { segmentKey, shardName } from "../../r2-layout/keys.ts";
import { LOG } from "../../r2-layout/limits.ts";
import { encodeSegment } from "../../r2-layout/segment.ts";
import type { ShardHistory } from "../../r2-layout/shards.ts";
import { epochOf, newerOf } from "../../r2-layout/shards.ts";
import type { ObjectWriter } from "../dead-letter.ts";
import { park } from "../dead-letter.ts";
import { isRefusal } from "../refusal.ts";
import { BarredSubjects } from "./barred.ts";
import type { CommitPlan, Group } from "./plan-commit.ts";
import { askedMessageIds, foldAliases, groupMessages, groupOf, planCommit, withOwned } from "./plan-commit.ts";
import { routeMessages } from "./route.ts";

export interface FanOutDeps {
  readonly logs: ObjectNamespace<Pick<EventLogApi, "filter" | "commit" | "barred">>;
  readonly bucket: ObjectWriter;
  /** The numbers of shards as this Worker knows them; messages and logs may know newer ones. */
  readonly shards?: ShardHistory;
  /** Identities whose events go by event id, as at the edge. */
  readonly spread?: ReadonlySet<string>;
  /** Whom rules keep out, as far as this isolate knows. Absent: a log that keeps somebody out takes nothing from here. */
  readonly barred?: BarredSubjects;
  /** Milliseconds. */
  readonly now?: () => number;
}

const NOBODY: ReadonlySet<string> = new Set();
/** Of a writer that has not been told: nothing is divided by it. */
const UNSPLIT: ShardHistory = [1];
/** Each round makes progress: more is known as owned, the object is fresh, or the epoch is right. */
const ROUNDS = 8;
/** A hundred deliveries then span eight hours of outage before a message is parked. */
const RETRY_SECONDS_MAX = 300;

const nextUlid = monotonicFactory();

/** Consumer of `events-k`. Every message is settled on its own: acked, once the log has it or it is parked, or retried. */
export async function fanOut(batch: MessageBatch<unknown>, deps: FanOutDeps): Promise<void> {
  const readable = new Map<EventMessage, Message<unknown>>();
  for (const message of batch.messages) {
    const parsed = parseMessage(message.body);
    if (parsed.ok) readable.set(parsed.value, message);
    else await parkPoison(batch.queue, message, parsed.error, deps);
  }
  for (const group of groupMessages([...readable.keys()], LOG.segmentEvents)) {
    if (await settled(batch.queue, group, readable, deps)) continue;
    for (const message of group.messages) await settled(batch.queue, groupOf([message]), readable, deps);
  }
}

/**
 * Commits a group and acks it; what fails is retried, a message that is refused alone for what it is a bounded number of
 * times. @returns false where a group of several is refused: they are to be taken one by one, so that one bad message
 * does not take its neighbours with it.
 */
async function settled(
  queue: string,
  group: Group,
  readable: ReadonlyMap<EventMessage, Message<unknown>>,
  deps: FanOutDeps,
): Promise<boolean> {
  const messages = group.messages.map((parsed) => readable.get(parsed)!);
  try {
    await commitAll(group, deps);
    for (const message of messages) message.ack();
    return true;
  } catch (error) {
    console.error(JSON.stringify({ at: "fan-out", shard: group.shard, error: String(error) }));
    const isRefused = isRefusal(error);
    if (isRefused && messages.length > 1) return false;
    for (const message of messages) {
      if (isRefused && message.attempts >= LOG.poisonDeliveries) {
        await parkPoison(queue, message, { reason: "message_refused", detail: String(error) }, deps);
      } else message.retry({ delaySeconds: retrySeconds(message) });
    }
    return true;
  }
}

/**
 * Makes a home's messages part of the log, once: what belongs to other shards first.
 * @throws where log or R2 fail, the rounds are used up, or nobody has told what a message's epoch means.
 */
async function commitAll(group: Group, deps: FanOutDeps): Promise<void> {
  const { messages } = group;
  let shards = messages.reduce<ShardHistory | undefined>(
    (known, { header }) => newer(known, header.shards),
    deps.shards,
  );
  for (let round = 0; round < ROUNDS; round++) {
    const epoch = shards ? epochOf(shards) : 0;
    const strange = messages.find(({ header }) => header.epoch > epoch);
    if (strange)
      throw new Error(`a message of epoch ${strange.header.epoch}, shards are ${shards?.join() ?? "unknown"}`);
    const { home, parts } = routeMessages(messages, shards ?? UNSPLIT, deps.spread ?? NOBODY);
    const groups = parts.size === 0 ? [group] : [...parts.values(), home].map(groupOf);
    let moved: ShardHistory | null = null;
    for (const next of groups) moved ??= await commitGroup(next, shards, deps);
    if (!moved) return;
    shards = newer(shards, moved);
  }
  throw new Error(`shard ${messages[0]!.header.shard}: still moved after ${ROUNDS} rounds`);
}

const newer = (a: ShardHistory | undefined, b: ShardHistory | undefined): ShardHistory | undefined =>
  a && b ? newerOf(a, b) : (a ?? b);

/** @returns null once the log has the group, else the numbers of shards by which to divide it anew. */
async function commitGroup(
  group: Group,
  shards: ShardHistory | undefined,
  deps: FanOutDeps,
): Promise<ShardHistory | null> {
  const now = deps.now ?? Date.now;
  const log = deps.logs.getByName(shardName(group.shard));
  const epoch = shards ? epochOf(shards) : 0;
  const barred = deps.barred ?? new BarredSubjects(withoutKey);
  const known = await log.filter(group.ids, askedMessageIds(group));
  await barred.learn(log, known.barred ?? 0);
  let owned = foldAliases(group, known);
  // As of the plan: another batch may learn more before it is committed.
  let version = barred.version;
  const plannedAnew = () => {
    version = barred.version;
    return planCommit(group, owned, (message) => barred.linesOf(message));
  };
  let plan = plannedAnew();
  let segment = await writeSegment(group.shard, plan, deps.bucket, now());
  for (let round = 0; round < ROUNDS; round++) {
    if (plan.messages.length === 0 && plan.redelivered === 0) return null;
    const { ids, messages, redelivered } = plan;
    const answer = await log.commit({
      epoch,
      ...(shards && epoch > 0 && { shards }),
      segment,
      ids,
      messages,
      redelivered,
      ...(version > 0 && { barred: version }),
    });
    if (answer.kind === "committed") return null;
    if (answer.kind === "moved") {
      if (answer.epoch > epoch && answer.shards) return answer.shards;
      throw new Error(`shard ${group.shard}: the log is in epoch ${answer.epoch}, not ${epoch}: the objects are older`);
    }
    if (answer.kind === "owned") {
      owned = withOwned(owned, plan, answer);
      plan = plannedAnew();
    } else if (answer.kind === "barred") {
      await barred.learn(log, answer.version);
      plan = plannedAnew();
    }
    segment = await writeSegment(group.shard, plan, deps.bucket, now());
  }
  throw new Error(`shard ${group.shard}: no commit in ${ROUNDS} rounds`);
}

function withoutKey(): never {
  throw new Error("whom the rules keep out cannot be told without the key of their hashes");
}

/** @returns null where the plan has no line. */
async function writeSegment(shard: number, plan: CommitPlan, bucket: ObjectWriter, nowMs: number) {
  if (plan.lines.length === 0) return null;
  const body = encodeSegment(plan.lines);
  const key = segmentKey({ receivedAtUs: plan.maxReceivedAt, shard, ulid: nextUlid(nowMs) });
  await bucket.put(key, body, {});
  return {
    key,
    bytes: body.byteLength,
    events: plan.lines.length,
    quarantined: plan.quarantined,
    ...(plan.republished > 0 && { republished: plan.republished }),
    minReceivedAt: plan.minReceivedAt,
    maxReceivedAt: plan.maxReceivedAt,
    writtenAt: nowMs,
    ...(plan.subjects !== null && { subjects: plan.subjects }),
  };
}

/** A retry would fail the same way, so the body is kept apart, with its cause, and let go. */
async function parkPoison(
  queue: string,
  message: Message<unknown>,
  error: { reason: string; detail: string },
  deps: FanOutDeps,
): Promise<void> {
  try {
    const { id: messageId, body, attempts } = message;
    const poison = { queue, messageId, body, attempts, cause: error.reason, detail: error.detail };
    const key = await park(deps.bucket, poison, (deps.now ?? Date.now)());
    console.error(JSON.stringify({ at: "fan-out", reason: error.reason, detail: error.detail, key }));
    message.ack();
  } catch (failure) {
    console.error(JSON.stringify({ at: "fan-out", reason: "store_unavailable", error: String(failure) }));
    message.retry({ delaySeconds: retrySeconds(message) });
  }
}

const retrySeconds = (message: Message<unknown>): number => Math.min(RETRY_SECONDS_MAX, 2 ** message.attempts);
