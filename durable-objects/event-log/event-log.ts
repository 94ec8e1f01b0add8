/**
 * One shard of the log: the only writer of its sequence numbers and the owner of its dedup window. Named by
 * `shardName(shard)`. The class joins RPC, transactions, the alarm and the sinks' queues; shard-log.ts decides.
 *
 * A wake-up can be lost at every step, so there are three of them: the commit sends one, the alarm sends more for as
 * long as a sink is behind, and the cron pokes every shard each minute, should an alarm have been given up.
 */
import { DurableObject } from "cloudflare:workers";
import { shardName } from "../../r2-layout/keys.ts";
import { LOG, SECOND_MS } from "../../r2-layout/limits.ts";
import type { Rule, RuleAt } from "../../r2-layout/rule.ts";
import type { SegmentRef } from "../../r2-layout/segment.ts";
import type { ShardHistory } from "../../r2-layout/shards.ts";
import { parseShards } from "../../r2-layout/shards.ts";
import { type PackedPrefixes, unpackPrefixes } from "../../r2-layout/subjects.ts";
import { wait } from "../../r2-layout/wait.ts";
import { inJurisdiction } from "../jurisdiction.ts";
import type { ObjectNamespace } from "../namespace.ts";
import type { SinkName } from "../sink-cursor/api.ts";
import { SINKS } from "../sink-cursor/api.ts";
import type {
  BarringRule,
  CommitAnswer,
  EventLogApi,
  EventLogAuditApi,
  EventLogErasureApi,
  EventLogLineageApi,
  EventLogPlacesApi,
  EventLogRedriveApi,
  EventLogRulesApi,
  EventLogStandingApi,
  LogStatus,
  PastCursor,
  Redrive,
  RedriveAnswer,
  ReplaceAnswer,
  SegmentCommit,
  SegmentReplacement,
  Standing,
  WakeUp,
} from "./api.ts";
import { dedupWindowMs } from "./dedup-window.ts";
import { Inheritance } from "./inheritance.ts";
import { ID_BYTES } from "./packed-ids.ts";
import { idsAskedFor, ShardLog } from "./shard-log.ts";
import { WakeSchedule } from "./wake-schedule.ts";

/** The queues on which the sinks are woken. */
export interface EventLogEnv {
  readonly WAKE_LAKE: Queue<WakeUp>;
  readonly WAKE_SESSIONS: Queue<WakeUp>;
  readonly WAKE_ROLLUPS: Queue<WakeUp>;
  /** The other shards' logs: after a split, parent and child talk. */
  readonly EVENT_LOG?: ObjectNamespace<EventLogLineageApi>;
  /** As everywhere (r2-layout/shards.ts): a rule must find a new shard's parent before the first event does. */
  readonly SHARDS?: string;
  /** Days that an id is owned, 7 to 30; 7 when absent. */
  readonly DEDUP_WINDOW_DAYS?: string;
}

/** The sink whose results ripen with time: a minute becomes final because nothing came. */
const TICKED: SinkName = "rollups";
/** Between two steps of upkeep, so that commits come in between. */
const UPKEEP_PAUSE_MS = 20;
const RETRY_MS = wait(5 * SECOND_MS);

export class EventLog
  extends DurableObject<EventLogEnv>
  implements
    EventLogApi,
    EventLogAuditApi,
    EventLogErasureApi,
    EventLogLineageApi,
    EventLogPlacesApi,
    EventLogRedriveApi,
    EventLogRulesApi,
    EventLogStandingApi
{
  readonly #log: ShardLog;
  readonly #queues: Record<SinkName, Queue<WakeUp>>;
  readonly #wakes = new WakeSchedule();
  readonly #inheritance: Inheritance;
  readonly #shards: ShardHistory | undefined;
  readonly #logOf: (shard: number) => EventLogLineageApi;
  /** When the alarm is set for, null where it is not. A cache. */
  #alarmAt: number | null = null;

  constructor(ctx: DurableObjectState, bindings: EventLogEnv) {
    const env = inJurisdiction(bindings);
    super(ctx, env);
    this.#queues = { lake: env.WAKE_LAKE, sessions: env.WAKE_SESSIONS, rollups: env.WAKE_ROLLUPS };
    const windowMs = dedupWindowMs(env);
    this.#log = ctx.storage.transactionSync(() => new ShardLog(ctx.storage.sql, Number(ctx.id.name ?? 0), windowMs));
    this.#shards = env.SHARDS === undefined ? undefined : parseShards(env.SHARDS);
    this.#logOf = (shard) => {
      if (!env.EVENT_LOG) throw new Error("a log after a split needs the binding EVENT_LOG");
      return env.EVENT_LOG.getByName(shardName(shard));
    };
    this.#inheritance = new Inheritance({
      log: this.#log,
      logOf: this.#logOf,
      transaction: (change) => this.#transaction(change),
    });
    ctx.blockConcurrencyWhile(async () => {
      this.#alarmAt = await ctx.storage.getAlarm();
    });
  }

  async filter(
    ids: Uint8Array,
    messageIds: Uint8Array,
  ): Promise<{ ids: Uint8Array; messages: Uint8Array; barred: number }> {
    const all = new Uint8Array(ids.byteLength + messageIds.byteLength);
    all.set(ids);
    all.set(messageIds, ids.byteLength);
    const owned = this.#log.owned(all);
    const inherited = await this.#inheritance.owned(all);
    if (inherited) for (let i = 0; i < owned.length; i++) owned[i]! |= inherited[i]!;
    const events = ids.byteLength / ID_BYTES;
    const barred = this.#log.places.barredVersion;
    return { ids: owned.slice(0, events), messages: owned.slice(events), barred };
  }

  async commit(commit: SegmentCommit): Promise<CommitAnswer> {
    if (this.#inheritance.isNew(commit.shards)) await this.#inheritance.join(commit.shards);
    const inherited = await this.#inheritance.owned(idsAskedFor(commit));
    const now = Date.now();
    const answer = this.#transaction(() => this.#log.commit(commit, now, inherited));
    if (answer.kind === "committed") await this.#wake(now);
    return answer;
  }

  async segments(
    after: number,
    limit: number = LOG.segmentsPerRead,
    sink?: SinkName,
  ): Promise<{ head: number; asOf: number; segments: SegmentRef[]; rules: number }> {
    const { head, places } = this.#log;
    return { head, asOf: Date.now(), segments: places.after(after, limit, sink), rules: places.rulesVersion };
  }

  async count(
    after: number,
    to: number = this.#log.head,
    sink?: SinkName,
  ): Promise<{ events: number; quarantined: number }> {
    return this.#log.places.count(after, to, sink);
  }

  async between(fromMs: number, toMs: number) {
    return this.#log.places.between(fromMs, toMs, this.#log.head);
  }

  async standing(fromMs: number, toMs: number, owedUntilMs: number = Date.now()): Promise<Standing> {
    const { head, lineage, places } = this.#log;
    const { range } = places.between(fromMs, toMs, head);
    return { head, epoch: lineage.epoch, gaps: this.#log.owedBetween(fromMs, owedUntilMs), range };
  }

  async republishedAfter(after: number): Promise<{ seq: number; republished: number }[]> {
    return this.#log.places.republishedAfter(after);
  }

  async idsOf(day: string, after: Uint8Array | null): Promise<{ ids: Uint8Array; next: Uint8Array | null }> {
    return this.#log.idsOf(day, after);
  }

  async ownedAt(ids: Uint8Array): Promise<Float64Array> {
    return this.#log.ownedAt(ids);
  }

  async raise(rule: Rule, key: string, shards = this.#shards): Promise<{ seq: number }> {
    if (this.#inheritance.isNew(shards)) await this.#inheritance.join(shards);
    const now = Date.now();
    const seq = this.#transaction(() => this.#log.raise(rule, key, now));
    await this.#wake(now);
    // After its own: a child that joins in between has learnt of it already.
    const { lineage } = this.#log;
    await Promise.all(lineage.children.map((child) => this.#logOf(child).raise(rule, key, lineage.shards!)));
    return { seq };
  }

  async partWith(shards: ShardHistory): Promise<{ rules: RuleAt[] }> {
    await this.#inheritance.join(shards);
    return this.#inheritance.answer();
  }

  async ownedBefore(ids: Uint8Array): Promise<Uint8Array> {
    const { ids: owned } = await this.filter(ids, new Uint8Array());
    return owned;
  }

  async rules(): Promise<{ version: number; rules: RuleAt[] }> {
    const { places } = this.#log;
    return { version: places.rulesVersion, rules: places.rules() };
  }

  async barred(after: number): Promise<{ until: number; rules: BarringRule[] }> {
    return this.#log.places.barredAfter(after);
  }

  async redactRules(names: ReadonlyMap<string, string>, isTrial: boolean): Promise<number> {
    return this.#transaction(() => this.#log.places.redactRules(names, isTrial));
  }

  async redrive(redrive: Redrive): Promise<RedriveAnswer> {
    const inherited = await this.#inheritance.owned(redrive.ids ?? new Uint8Array());
    const now = Date.now();
    const answer = this.#transaction(() => this.#log.redrive(redrive, now, inherited));
    if (answer.kind === "committed") await this.#wake(now);
    return answer;
  }

  async segmentsWith(subjects: PackedPrefixes, after: number) {
    const { head, places } = this.#log;
    return { head, ...places.with(new Set(unpackPrefixes(subjects)), after, head) };
  }

  async replaceSegment(replacement: SegmentReplacement): Promise<ReplaceAnswer> {
    return this.#transaction(() => this.#log.places.replace(replacement, Date.now()));
  }

  async noteSubjects(seq: number, key: string, subjects: PackedPrefixes): Promise<void> {
    this.#transaction(() => this.#log.places.noteSubjects(seq, key, subjects));
  }

  async replacedObjects(): Promise<string[]> {
    return this.#log.places.replaced.keys();
  }

  async replacedDeleted(keys: readonly string[]): Promise<void> {
    this.#transaction(() => this.#log.places.replaced.deleted(keys));
  }

  async tally(
    cursors: Readonly<Partial<Record<SinkName, number>>>,
  ): Promise<{ status: LogStatus; past: Partial<Record<SinkName, PastCursor>> }> {
    const past: Partial<Record<SinkName, PastCursor>> = {};
    for (const sink of SINKS) {
      const cursor = cursors[sink];
      if (cursor !== undefined) past[sink] = this.#log.places.past(cursor, this.#log.head, sink);
    }
    return { status: this.#log.status(), past };
  }

  async reached(sink: SinkName, seq: number, token?: number): Promise<void> {
    this.#transaction(() => this.#log.reached(sink, seq, token));
    await this.#setAlarm(Date.now());
  }

  async turned(sink: SinkName, seq: number, token: number): Promise<void> {
    this.#transaction(() => this.#log.turned(sink, seq, token));
    await this.#wake(Date.now());
  }

  async poke(): Promise<void> {
    const now = Date.now();
    const { head } = this.#log;
    const sinks = SINKS.filter((sink) => sink === TICKED || this.#log.cursor(sink) < head);
    const sent = this.#send(
      sinks.filter((sink) => this.#wakes.allowedAt(sink) <= now),
      now,
    );
    await this.#setAlarm(now);
    await sent;
  }

  async unnamed(keys: readonly string[]): Promise<string[]> {
    return this.#log.places.unnamed(keys, this.#log.head);
  }

  async status(): Promise<LogStatus> {
    return this.#log.status();
  }

  /** Sets the next alarm before it does anything, and never throws: an alarm that throws six times is given up. */
  override async alarm(): Promise<void> {
    try {
      const now = Date.now();
      const upkeep = this.#log.maintenanceDue(now);
      this.#alarmAt = null;
      const sent = this.#send(this.#due(now), now);
      await this.#setAlarm(now, RETRY_MS);
      if (upkeep) {
        this.#transaction(() => this.#log.maintain(now));
        await this.#setAlarm(now);
      }
      await sent;
    } catch (error) {
      console.error(JSON.stringify({ at: "event-log alarm", shard: this.#log.shard, error: String(error) }));
    }
  }

  /** Wakes the sinks whose turn it is, in the background: the commit is durable without it. */
  async #wake(now: number): Promise<void> {
    const due = this.#due(now);
    if (due.length > 0) this.ctx.waitUntil(this.#send(due, now));
    await this.#setAlarm(now);
  }

  #due(now: number): SinkName[] {
    const { head } = this.#log;
    return SINKS.filter((sink) => {
      const dueAt = this.#wakes.dueAt(sink, head, this.#log.cursor(sink));
      return dueAt !== null && dueAt <= now;
    });
  }

  /** Never rejects. Counts as sent before it is: a wake-up that fails is due again a second later. */
  async #send(sinks: readonly SinkName[], now: number): Promise<void> {
    const { head, shard } = this.#log;
    for (const sink of sinks) this.#wakes.sent(sink, head, this.#log.cursor(sink), now);
    const sends = await Promise.allSettled(
      sinks.map(async (sink) => this.#queues[sink].send({ shard, head }, { contentType: "json" })),
    );
    for (const send of sends) {
      if (send.status === "rejected") {
        console.error(JSON.stringify({ at: "event-log wake-up", shard, error: String(send.reason) }));
      }
    }
  }

  /**
   * Sees to it that an alarm comes no later than something is due. An alarm that is set for earlier stands, because
   * setting one costs a row; one that should have come long ago was given up.
   */
  async #setAlarm(now: number, upkeepInMs = UPKEEP_PAUSE_MS): Promise<void> {
    const { head } = this.#log;
    const dueAts = SINKS.map((sink) => this.#wakes.dueAt(sink, head, this.#log.cursor(sink)));
    if (this.#log.maintenanceDue(now)) dueAts.push(now + upkeepInMs);
    const times = dueAts.filter((time) => time !== null);
    if (times.length === 0) return;
    const next = Math.max(now, Math.min(...times));
    if (this.#alarmAt !== null && this.#alarmAt <= next && this.#alarmAt > now - RETRY_MS) return;
    this.#alarmAt = next;
    await this.ctx.storage.setAlarm(next);
  }

  #transaction<T>(change: () => T): T {
    try {
      return this.ctx.storage.transactionSync(change);
    } catch (error) {
      this.#log.forget();
      throw error;
    }
  }
}
