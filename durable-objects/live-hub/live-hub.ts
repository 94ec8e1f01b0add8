/**
 * The object behind `GET /v1/live`: sockets in, frames out. It only joins sockets, RPC and storage: what a hub that the shards
 * talk to does is in root-topics.ts and leaves.ts, what one below it does in leaf-topics.ts, what both do for sockets in audience.ts.
 *
 * All that it knows is a cache of what the MinuteRollups and TileRollups keep. A socket is accepted and given its snapshot in one
 * step, so no frame can come before it. A state is encoded once and sent to all.
 */

import { DurableObject } from "cloudflare:workers";
import { INGEST, LIVE } from "../../r2-layout/limits.ts";
import { countOf, parseShards } from "../../r2-layout/shards.ts";
import { inJurisdiction } from "../jurisdiction.ts";
import type { ObjectNamespace } from "../namespace.ts";
import type { TileUpdate } from "../tile-rollup/api.ts";
import {
  type Delivery,
  type Followed,
  FULL_HEADER,
  HUB_HEADER,
  HUBS_HEADER,
  type LeafHubApi,
  type LiveHubApi,
  ROOT_HUB,
  type RootHubApi,
  type ShardUpdate,
} from "./api.ts";
import { Audience, type Source } from "./audience.ts";
import { HubState } from "./hub-state.ts";
import { LeafTopics } from "./leaf-topics.ts";
import { Leaves } from "./leaves.ts";
import { type RootBindings, RootTopics } from "./root-topics.ts";
import { SentFrames } from "./sent-frames.ts";
import { parseLiveRequest, type Topic } from "./topics.ts";

export interface LiveHubEnv extends RootBindings {
  readonly LIVE_HUB: ObjectNamespace<RootHubApi & LeafHubApi>;
  readonly SHARDS?: string;
}

/** The part that only one kind of hub has. */
type Role =
  | { readonly kind: "root"; readonly topics: RootTopics; readonly leaves: Leaves }
  | { readonly kind: "leaf"; readonly topics: LeafTopics };

export class LiveHub extends DurableObject<LiveHubEnv> implements LiveHubApi, RootHubApi, LeafHubApi {
  readonly #state: HubState;
  readonly #audience: Audience;
  #role: Role;
  /** Sockets that wait for their topics. */
  #arriving = 0;

  constructor(ctx: DurableObjectState, env: LiveHubEnv) {
    super(ctx, inJurisdiction(env));
    this.#state = new HubState(ctx.storage.sql);
    this.#audience = new Audience(ctx, () => this.#role.topics);
    this.#role = this.#state.name === ROOT_HUB ? this.#root() : this.#leaf();
    // Answered by the runtime without waking the object.
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
  }

  async publish(update: ShardUpdate): Promise<void> {
    await this.#asRoot().topics.publish(update);
  }

  async publishTile(update: TileUpdate): Promise<void> {
    await this.#asRoot().topics.publishTile(update);
  }

  async follow(leaf: string, wanted: readonly Topic[], sockets: number): Promise<Followed> {
    const { topics, leaves } = this.#asRoot();
    const refused = await topics.open(wanted);
    const heard = wanted.filter((topic) => !refused.has(topic));
    const feeds = heard.flatMap((topic) => {
      const feed = topics.feed(topic);
      return feed ? [{ topic, since: feed.since, grainMs: feed.grainMs, items: feed.all() }] : [];
    });
    const { seq } = topics;
    const generation = leaves.follow(leaf, heard, sockets, seq);
    topics.schedule();
    return { generation, seq, feeds, refused: [...refused] };
  }

  async deliver(delivery: Delivery): Promise<{ sockets: number; topics: readonly Topic[] }> {
    if (this.#role.kind === "leaf") return this.#role.topics.deliver(delivery);
    // It has lost its storage, and its sockets with it.
    return { sockets: 0, topics: [] };
  }

  override async fetch(request: Request): Promise<Response> {
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      return refused(426, "upgrade_required", "This address is for websockets");
    }
    const wanted = parseLiveRequest(new URL(request.url).searchParams);
    if (!wanted.ok) return refused(400, "bad_parameter", "A parameter cannot be used", wanted.error);
    const name = request.headers.get(HUB_HEADER) ?? ROOT_HUB;
    if (name !== this.#state.name) {
      this.#state.name = name;
      this.#role = name === ROOT_HUB ? this.#root() : this.#leaf();
    }
    if (this.#audience.size + this.#arriving >= LIVE.sockets) return this.#elsewhere(request);
    const { topics } = this.#role;
    this.#arriving++;
    try {
      const { resume } = wanted.value;
      const refusals = await topics.open(wanted.value.topics, resume ?? 0);
      const isDown = [...refusals.values()].some((reason) => reason === "upstream_unavailable");
      if (isDown && refusals.size === wanted.value.topics.length) {
        return refused(503, "upstream_unavailable", "A part that answers this is not there right now");
      }
      const { 0: client, 1: server } = new WebSocketPair();
      this.#audience.accept(server, wanted.value.topics, resume, refusals);
      if (this.#role.kind === "root") this.#role.topics.schedule();
      else if ((await this.ctx.storage.getAlarm()) === null) await this.#listenLater();
      return new Response(null, { status: 101, webSocket: client });
    } finally {
      this.#arriving--;
    }
  }

  /** Of a leaf with sockets. */
  override async alarm(): Promise<void> {
    if (this.#role.kind === "root" || this.#audience.size === 0) return;
    // First: whatever follows, there is a next time.
    await this.#listenLater();
    try {
      await this.#role.topics.listen();
    } catch (error) {
      console.warn(JSON.stringify({ at: "live_listen", leaf: this.#state.name, error: String(error) }));
    }
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    await this.#audience.hear(socket, message);
  }

  override webSocketClose(socket: WebSocket, code: number): void {
    // 1005 and 1006 say that there was no code: they may be read, never sent.
    this.#audience.close(socket, code === 1005 || code === 1006 ? 1000 : code, "");
  }

  override webSocketError(socket: WebSocket): void {
    this.#audience.close(socket, 1011, "socket error");
  }

  #root(): Role {
    const { sql } = this.ctx.storage;
    const sent = new SentFrames(sql, countOf(parseShards(this.env.SHARDS ?? "1")));
    const source = (): Source => this.#role.topics;
    const leaves = new Leaves(sql, this.env.LIVE_HUB, source, sent.seq);
    const topics = new RootTopics({
      env: this.env,
      sent,
      watched: () => this.#audience.watched().union(leaves.watched()),
      tell: (frames, seq) => {
        this.#audience.tell(frames, seq);
        leaves.push();
      },
    });
    return { kind: "root", topics, leaves };
  }

  #leaf(): Role {
    const topics = new LeafTopics({
      name: this.#state.name,
      root: () => this.env.LIVE_HUB.getByName(ROOT_HUB),
      told: this.#state,
      watched: () => this.#audience.watched(),
      sockets: () => this.#audience.size + this.#arriving,
      tell: (frames, seq) => this.#audience.tell(frames, seq),
    });
    return { kind: "leaf", topics };
  }

  #listenLater(): Promise<void> {
    return this.ctx.storage.setAlarm(Date.now() + LIVE.silenceMs);
  }

  /** @throws RangeError where the caller took a leaf for the root. */
  #asRoot(): Extract<Role, { kind: "root" }> {
    if (this.#role.kind === "root") return this.#role;
    throw new RangeError(`${this.#state.name} is not the hub that is published to`);
  }

  /** An edge that knows of the tree is told where there is room. */
  #elsewhere(request: Request): Response {
    const full = (request.headers.get(FULL_HEADER) ?? "").split(",");
    const names = this.#role.kind === "root" ? this.#role.leaves.withRoom(full) : [];
    const isLeaf = this.#role.kind === "leaf";
    if (!request.headers.has(HUB_HEADER) || (!isLeaf && names.length === 0)) {
      return refused(503, "too_many_sockets", "Too many screens are watching");
    }
    return new Response(null, { status: 421, headers: { [HUBS_HEADER]: names.join(",") } });
  }
}

function refused(status: number, reason: string, title: string, more: object = {}): Response {
  const headers: Record<string, string> = { "content-type": "application/problem+json", "cache-control": "no-store" };
  if (status === 503) headers["retry-after"] = String(INGEST.retryAfterSeconds);
  const document = { type: `urn:eventpile:problem:${reason}`, title, status, reason, ...more };
  return new Response(JSON.stringify(document), { status, headers });
}
