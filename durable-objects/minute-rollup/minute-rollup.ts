/** The class that joins RPC, storage and the LiveHub; the work is in rollup-store.ts and live-publisher.ts. */
import { DurableObject } from "cloudflare:workers";
import type { LiveHubApi } from "../live-hub/api.ts";
import type { ObjectNamespace } from "../namespace.ts";
import type {
  MinuteRollupApi,
  RecentMinutes,
  RollupAnswer,
  RollupBatch,
  RollupParts,
  RollupQuery,
  RollupStatus,
} from "./api.ts";
import { LivePublisher } from "./live-publisher.ts";
import { RollupStore } from "./rollup-store.ts";
import { shardMinute } from "./shard-minute.ts";

export interface MinuteRollupEnv {
  readonly LIVE_HUB: ObjectNamespace<LiveHubApi>;
  readonly SHARDS?: string;
}

export class MinuteRollup extends DurableObject<MinuteRollupEnv> implements MinuteRollupApi {
  readonly #store: RollupStore;
  readonly #publisher: LivePublisher;

  constructor(ctx: DurableObjectState, env: MinuteRollupEnv) {
    super(ctx, env);
    this.#store = new RollupStore(ctx.storage.sql);
    this.#publisher = new LivePublisher(() => env.LIVE_HUB.getByName("live"), this.#store, Number(env.SHARDS ?? 1));
  }

  /** Safe to repeat: what is at or below the last seq changes nothing. See `RollupStore.apply`. */
  async apply(batch: RollupBatch): Promise<RollupAnswer> {
    const { changed, ...answer } = this.#transact(() => this.#store.apply(batch, Date.now()));
    // Not awaited: the cursor need not wait for the screens, and a lost publish is made good by the next.
    if (answer.lastSeq >= batch.to) this.ctx.waitUntil(this.#publisher.publish(batch.shard, changed, Date.now));
    return answer;
  }

  async query(query: RollupQuery): Promise<RollupParts> {
    return this.#store.query(query);
  }

  async recent(from: number, to: number): Promise<RecentMinutes> {
    const { lastSeq, completeUntil } = this.#store.position();
    return { lastSeq, completeUntil, minutes: this.#store.minutes(from, to).map(shardMinute) };
  }

  async status(): Promise<RollupStatus> {
    return { ...this.#store.position(), openMinutes: this.#store.openMinutes() };
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
