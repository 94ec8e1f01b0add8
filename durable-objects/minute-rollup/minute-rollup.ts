/** The class that joins RPC, storage and the LiveHub; the work is in rollup-store.ts, rebuilds.ts and live-publisher.ts. */
import { DurableObject } from "cloudflare:workers";
import { countOf, parseShards } from "../../r2-layout/shards.ts";
import { inJurisdiction } from "../jurisdiction.ts";
import type { LiveHubApi } from "../live-hub/api.ts";
import type { ObjectNamespace } from "../namespace.ts";
import type {
  MinuteDelta,
  MinuteRebuildApi,
  MinuteRollupApi,
  PlacedChange,
  RebuildBegun,
  RebuildComparison,
  RebuildStep,
  RebuildWindow,
  RecentMinutes,
  RollupAnswer,
  RollupBatch,
  RollupParts,
  RollupQuery,
  RollupStatus,
} from "./api.ts";
import type { RollupErasureApi, RollupTraces } from "./erasure-api.ts";
import { LivePublisher } from "./live-publisher.ts";
import type { Swapped } from "./rebuilds.ts";
import { RollupStore } from "./rollup-store.ts";
import { shardMinute } from "./shard-minute.ts";
import type { RollupTallyApi, Tally, TallyRequest } from "./tally-api.ts";

export interface MinuteRollupEnv {
  readonly LIVE_HUB: ObjectNamespace<LiveHubApi>;
  readonly SHARDS?: string;
}

export class MinuteRollup
  extends DurableObject<MinuteRollupEnv>
  implements MinuteRollupApi, MinuteRebuildApi, RollupErasureApi, RollupTallyApi
{
  readonly #store: RollupStore;
  readonly #publisher: LivePublisher;

  constructor(ctx: DurableObjectState, bindings: MinuteRollupEnv) {
    const env = inJurisdiction(bindings);
    super(ctx, env);
    this.#store = new RollupStore(ctx.storage.sql);
    this.#publisher = new LivePublisher(
      () => env.LIVE_HUB.getByName("live"),
      this.#store,
      countOf(parseShards(env.SHARDS ?? "1")),
    );
  }

  /** Safe to repeat: what is at or below the last seq changes nothing. See `RollupStore.apply`. */
  async apply(batch: RollupBatch): Promise<RollupAnswer> {
    const { changed, ...answer } = this.#transact(() => this.#store.apply(batch, Date.now()));
    // Not awaited: the cursor need not wait for the screens, and a lost publish is made good by the next.
    if (answer.lastSeq >= batch.to) this.ctx.waitUntil(this.#publisher.publish(batch.shard, changed, Date.now));
    return answer;
  }

  async fence(token: number): Promise<{ readonly lastSeq: number }> {
    return this.#transact(() => this.#store.fence(token));
  }

  async announce(tiles: string): Promise<{ readonly lastSeq: number }> {
    return this.#transact(() => this.#store.announce(tiles));
  }

  async query(query: RollupQuery): Promise<RollupParts> {
    return this.#store.query(query);
  }

  async tally(request: TallyRequest): Promise<Tally> {
    return this.#store.tally(request, Date.now());
  }

  async recent(from: number, to: number): Promise<RecentMinutes> {
    const { lastSeq, completeUntil, incarnation } = this.#store.position();
    return { lastSeq, completeUntil, incarnation, minutes: this.#store.minutes(from, to).map(shardMinute) };
  }

  async status(): Promise<RollupStatus> {
    const { lastSeq, events, completeUntil, rules } = this.#store.position();
    return { lastSeq, events, completeUntil, rules, openMinutes: this.#store.openMinutes() };
  }

  async raise(version: number): Promise<void> {
    this.#transact(() => this.#store.raise(version));
  }

  async settle(first: number, last: number): Promise<void> {
    this.#transact(() => this.#store.settle(first, last));
  }

  async forgetJob(job: string): Promise<{ readonly records: number }> {
    return { records: this.#transact(() => this.#store.changes.ofJob(job, true)) };
  }

  async tracesOf(job: string, version: number): Promise<RollupTraces> {
    return this.#store.tracesOf(job, version);
  }

  async doubt(from: number, to: number): Promise<void> {
    this.#transact(() => this.#store.doubt(from, to));
  }

  async begin(window: RebuildWindow): Promise<RebuildBegun> {
    return this.#transact(() => this.#store.rebuilds.begin(window, Date.now()));
  }

  async add(job: string, step: RebuildStep, minutes: readonly MinuteDelta[]): Promise<{ readonly step: number }> {
    // By itself: should the step be refused because the build is older than its rules, the next one is begun under them.
    await this.raise(step.rules);
    return this.#transact(() => this.#store.rebuilds.add(job, step, minutes, Date.now()));
  }

  async compare(job: string): Promise<RebuildComparison> {
    return this.#store.rebuilds.compare(job, Date.now());
  }

  async swap(job: string, reason: "correction" | "rebuild"): Promise<void> {
    this.#tell(this.#transact(() => this.#store.rebuilds.swap(job, reason, Date.now())));
  }

  async revert(job: string): Promise<void> {
    this.#tell(this.#transact(() => this.#store.rebuilds.revert(job, Date.now())));
  }

  async confirm(job: string): Promise<void> {
    this.#transact(() => this.#store.rebuilds.confirm(job, Date.now()));
  }

  async discard(job: string): Promise<void> {
    this.#tell(this.#transact(() => this.#store.rebuilds.discard(job, Date.now())));
  }

  async abandon(job: string): Promise<boolean> {
    return this.#transact(() => this.#store.rebuilds.abandon(job, Date.now()));
  }

  async changes(
    from: number,
    to: number,
    limit: number,
    before?: { readonly at: number; readonly id: number },
  ): Promise<PlacedChange[]> {
    return this.#store.changes.read(from, to, limit, before);
  }

  /** Rows on screens were swapped: all that is shown of this shard is told anew. */
  #tell(swapped: Swapped | null): void {
    if (!swapped?.seen) return;
    this.#publisher.tellAll();
    this.ctx.waitUntil(this.#publisher.publish(swapped.shard, [], Date.now));
  }

  #transact<T>(work: () => T): T {
    try {
      return this.ctx.storage.transactionSync(work);
    } catch (error) {
      this.#store.forget();
      throw error;
    }
  }
}
