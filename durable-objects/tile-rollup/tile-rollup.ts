/** The class that joins RPC, storage and the LiveHub: one object a shard, with the rows of all tiles; the work is in tile-store.ts. */
import { DurableObject } from "cloudflare:workers";
import { countOf, parseShards } from "../../r2-layout/shards.ts";
import { inJurisdiction } from "../jurisdiction.ts";
import type { ObjectNamespace } from "../namespace.ts";
import type {
  TileAnswer,
  TileBatch,
  TileBuild,
  TileDelta,
  TileParts,
  TileQuery,
  TileRollupApi,
  TileWindow,
} from "./api.ts";
import type { TileDefinition } from "./definition.ts";
import { type TileAudience, TilePublisher } from "./tile-publisher.ts";
import { TileStore } from "./tile-store.ts";

export interface TileRollupEnv {
  readonly LIVE_HUB: ObjectNamespace<TileAudience>;
  readonly SHARDS?: string;
}

export class TileRollup extends DurableObject<TileRollupEnv> implements TileRollupApi {
  readonly #store: TileStore;
  readonly #publisher: TilePublisher;

  constructor(ctx: DurableObjectState, bindings: TileRollupEnv) {
    const env = inJurisdiction(bindings);
    super(ctx, env);
    this.#store = ctx.storage.transactionSync(() => new TileStore(ctx.storage.sql));
    const shards = countOf(parseShards(env.SHARDS ?? "1"));
    this.#publisher = new TilePublisher(() => env.LIVE_HUB.getByName("live"), this.#store, shards);
  }

  async define(version: number, definitions: readonly TileDefinition[]): Promise<void> {
    this.#transact(() => this.#store.define(version, definitions));
  }

  /** Safe to repeat: what is at or below the last seq changes nothing. See tile-store.ts. */
  async apply(batch: TileBatch): Promise<TileAnswer> {
    const { changed, ...answer } = this.#transact(() => this.#store.apply(batch, Date.now()));
    if (answer.lost) {
      console.error(JSON.stringify({ at: "tile_rollup", reason: "lost", shard: batch.shard, from: batch.from }));
      this.#publisher.tellAll();
    }
    // Not awaited: the cursor need not wait for the screens, and a lost publish is made good by the next.
    if (answer.lastSeq >= batch.to) this.ctx.waitUntil(this.#publisher.publish(batch.shard, changed, Date.now));
    return answer;
  }

  async query(query: TileQuery): Promise<TileParts> {
    return this.#store.query(query);
  }

  async recent(tile: string): Promise<TileParts> {
    const definition = this.#store.tiles().find(({ id }) => id === tile);
    const { completeUntil, lastSeq, incarnation } = this.#store.position();
    const parts = definition ? this.#store.published(definition, null, Date.now()) : [];
    return { known: definition !== undefined, completeUntil, lastSeq, incarnation, parts, cut: false };
  }

  async begin(window: TileWindow): Promise<TileBuild> {
    return this.#transact(() => this.#store.begin(window));
  }

  async add(
    job: string,
    step: { readonly step: number; readonly to: number },
    deltas: readonly TileDelta[],
  ): Promise<{ readonly step: number } | null> {
    return this.#transact(() => this.#store.builds.add(job, step, deltas, Date.now()));
  }

  async swap(job: string): Promise<{ readonly swapped: true } | null> {
    const swapped = this.#transact(() => this.#store.swap(job, Date.now()));
    if (swapped?.changed) {
      this.#publisher.tellAll();
      this.ctx.waitUntil(this.#publisher.publish(swapped.shard, new Map(), Date.now));
    }
    return swapped && { swapped: true };
  }

  async discard(job: string): Promise<void> {
    this.#transact(() => this.#store.builds.discard(job));
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
