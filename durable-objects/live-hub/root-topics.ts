/**
 * The topics of the hub that the shards talk to. Boards hold what the shards said, feeds what was told; a flush compares them,
 * numbers what differs and tells it, at most once in `LIVE.frameIntervalMs`.
 *
 *     nobody listens    publishes to a hub without boards end at once; boards that are there are kept up to date, and what changed is
 *                       numbered when somebody comes
 *     a tile            has a board as long as somebody looks at it, and `LIVE.tileKeptMs` longer: a screen that lost its connection
 *                       finds the feed that it knows
 *     lost publish      the rollups tell it again with their next batch or tick
 *
 * A timer holds off hibernation for half a second at most.
 */
import { shardName } from "../../r2-layout/keys.ts";
import { LIVE } from "../../r2-layout/limits.ts";
import type { MinuteRollupApi } from "../minute-rollup/api.ts";
import { liveWindow } from "../minute-rollup/live-window.ts";
import type { ObjectNamespace } from "../namespace.ts";
import { TILE_REGISTRY_NAME, type TileRegistryApi, type TileRollupApi, type TileUpdate } from "../tile-rollup/api.ts";
import type { Refusal, ShardUpdate } from "./api.ts";
import type { Source } from "./audience.ts";
import type { Feed } from "./feed.ts";
import type { Frame } from "./frames.ts";
import { LiveBoard } from "./live-board.ts";
import { MinuteTopic } from "./minute-topic.ts";
import type { SentFrames } from "./sent-frames.ts";
import { type ShardState, TileBoard } from "./tile-board.ts";
import { TileTopic } from "./tile-topic.ts";
import { MINUTES, type Topic, tileOf, topicOf } from "./topics.ts";

export interface RootBindings {
  readonly MINUTE_ROLLUP: ObjectNamespace<Pick<MinuteRollupApi, "recent">>;
  /** Without these no tile is known. */
  readonly TILE_ROLLUP?: ObjectNamespace<Pick<TileRollupApi, "recent">>;
  readonly TILE_REGISTRY?: ObjectNamespace<Pick<TileRegistryApi, "definition">>;
}

export interface RootParts {
  readonly env: RootBindings;
  readonly sent: SentFrames;
  /** What anybody listens to, here or at another hub. */
  watched(): ReadonlySet<Topic>;
  /** To everybody. */
  tell(frames: readonly Frame[], seq: number): void;
}

/** The platform's six connections, so that restoring from many shards does not queue up elsewhere. */
const ASKED_AT_ONCE = 6;

export class RootTopics implements Source {
  readonly #parts: RootParts;
  readonly #minutes: MinuteTopic;
  readonly #tiles = new Map<string, TileTopic>();
  #timer: ReturnType<typeof setTimeout> | null = null;
  #flushedAt = 0;

  constructor(parts: RootParts) {
    this.#parts = parts;
    this.#minutes = new MinuteTopic(parts.sent, (shards) => this.#askMinutes(shards));
  }

  get seq(): number {
    return this.#parts.sent.seq;
  }

  feed(topic: Topic): Feed | null {
    const tile = tileOf(topic);
    return tile === null ? this.#minutes.feed : (this.#tiles.get(tile)?.feed ?? null);
  }

  async open(topics: readonly Topic[]): Promise<ReadonlyMap<Topic, Refusal>> {
    const refused = new Map<Topic, Refusal>();
    await Promise.all(
      topics.map(async (topic) => {
        const refusal = await this.#openOne(topic);
        if (refusal) refused.set(topic, refusal);
      }),
    );
    const isMissing = (topic: Topic) => (topic === MINUTES ? !this.#minutes.isWhole : this.feed(topic) === null);
    const isTold = topics.every((topic) => refused.has(topic) || !isMissing(topic));
    if (!isTold || this.#parts.watched().size === 0) this.#flush();
    if (!this.#parts.sent.isSaved) this.#save();
    return refused;
  }

  async publish(update: ShardUpdate): Promise<void> {
    const isWatched = () => this.#parts.watched().has(MINUTES);
    if (this.#minutes.isIdle && !isWatched()) return;
    this.#grow(update.shards);
    await this.#minutes.apply(update, isWatched);
    this.schedule();
  }

  async publishTile(update: TileUpdate): Promise<void> {
    const watched = this.#watchTiles();
    this.#grow(update.shards);
    const parts = new Map(update.tiles.map((tile) => [tile.id, tile.parts]));
    const applied = await Promise.allSettled(
      watched.map(async (tile) => {
        const { topic } = tile;
        if (!(await tile.apply(update, parts.get(tileOf(topic)!) ?? []))) this.#tiles.delete(tileOf(topic)!);
      }),
    );
    this.schedule();
    // A tile that could not be asked for is told again, with the others, which does no harm.
    for (const one of applied) if (one.status === "rejected") throw one.reason;
  }

  /** Sees to it that what changed is told. */
  schedule(): void {
    if (this.#timer !== null || !this.#hasChanged() || this.#parts.watched().size === 0) return;
    // With one shard there is nothing to wait for. With several, most of what belongs together comes within a moment.
    const gather = this.#parts.sent.shards > 1 ? LIVE.coalesceMs : 0;
    const waitMs = Math.max(gather, this.#flushedAt + LIVE.frameIntervalMs - Date.now());
    if (waitMs <= 0) this.#flush();
    else {
      this.#timer = setTimeout(() => {
        this.#timer = null;
        this.#flush();
      }, waitMs);
    }
  }

  #hasChanged(): boolean {
    return this.#minutes.hasChanged || [...this.#tiles.values()].some((tile) => tile.hasChanged);
  }

  #flush(): void {
    const now = Date.now();
    const { sent } = this.#parts;
    const frames = this.#minutes.flush(now);
    for (const tile of this.#tiles.values()) frames.push(...tile.flush(now, () => sent.next()));
    if (frames.length === 0) return;
    this.#flushedAt = now;
    // Before anything is sent: sockets are held back until it is on disk.
    this.#save();
    this.#parts.tell(frames, sent.seq);
  }

  #save(): void {
    this.#parts.sent.save(liveWindow(Date.now()).from);
  }

  #grow(shards: number): void {
    const { sent } = this.#parts;
    if (shards <= sent.shards) return;
    sent.shards = shards;
    this.#minutes.forget();
    for (const tile of this.#tiles.values()) tile.forget();
  }

  async #openOne(topic: Topic): Promise<Refusal | null> {
    try {
      const id = tileOf(topic);
      if (id === null) {
        await this.#minutes.restored();
        return null;
      }
      const tile = this.#hold(id);
      if (!tile) return "too_many_tiles";
      if (await tile.restored()) return null;
      this.#tiles.delete(id);
      return "unknown_tile";
    } catch (error) {
      console.error(JSON.stringify({ at: "live_restore", topic, error: String(error) }));
      return "upstream_unavailable";
    }
  }

  /** The tiles that are shown somewhere, or were a moment ago; others are let go of. */
  #watchTiles(): TileTopic[] {
    const now = Date.now();
    for (const topic of this.#parts.watched()) {
      const id = tileOf(topic);
      const tile = id === null ? null : this.#hold(id);
      if (tile) tile.watchedAt = now;
    }
    for (const [id, { watchedAt }] of this.#tiles) if (watchedAt + LIVE.tileKeptMs < now) this.#tiles.delete(id);
    return [...this.#tiles.values()];
  }

  /** @returns null where as many as may be are being watched. */
  #hold(id: string): TileTopic | null {
    const known = this.#tiles.get(id);
    const now = Date.now();
    if (known) {
      known.watchedAt = now;
      return known;
    }
    if (this.#tiles.size >= LIVE.tiles) {
      const watched = this.#parts.watched();
      const unwatched = [...this.#tiles].find(([other]) => !watched.has(topicOf(other)));
      if (!unwatched) return null;
      this.#tiles.delete(unwatched[0]);
    }
    const tile = new TileTopic(id, () => this.#askTile(id), now);
    this.#tiles.set(id, tile);
    return tile;
  }

  async #askMinutes(shards: number): Promise<LiveBoard> {
    const board = new LiveBoard(shards);
    const { from, to } = liveWindow(Date.now());
    await eachShard(shards, async (shard) => {
      const recent = await this.#parts.env.MINUTE_ROLLUP.getByName(`core:${shardName(shard)}`).recent(from, to);
      board.apply({ shard, shards, ...recent });
    });
    return board;
  }

  async #askTile(id: string): Promise<TileBoard | null> {
    const { TILE_ROLLUP: rollups, TILE_REGISTRY: registry } = this.#parts.env;
    const definition = (await registry?.getByName(TILE_REGISTRY_NAME).definition(id)) ?? null;
    if (!rollups || !definition) return null;
    const { shards } = this.#parts.sent;
    const board = new TileBoard(definition, shards);
    await eachShard(shards, async (shard) => {
      const { parts, ...state } = await rollups.getByName(`tiles:${shardName(shard)}`).recent(id);
      board.apply({ shard, ...state } satisfies ShardState, parts);
    });
    return board;
  }
}

async function eachShard(shards: number, ask: (shard: number) => Promise<void>): Promise<void> {
  for (let first = 0; first < shards; first += ASKED_AT_ONCE) {
    await Promise.all(Array.from({ length: Math.min(ASKED_AT_ONCE, shards - first) }, (_, i) => ask(first + i)));
  }
}
