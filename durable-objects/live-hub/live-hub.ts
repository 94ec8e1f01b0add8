/**
 * The object behind `GET /v1/live`: sockets in, frames out. Its minutes are a cache of what the MinuteRollups keep.
 *
 *     publish           the changed minutes are merged, and sent as soon as the frame interval allows; at once when it is quiet
 *     first socket      the hub asks every MinuteRollup for the last hour, then sends the snapshot
 *     evicted           sockets hibernate; the next publish or socket makes the hub ask again, and only what differs from
 *                       what the sockets were told (one row, sent-frames.ts) is sent
 *     nobody watches    publishes to a hub without sockets or minutes end at once
 *     lost publish      a MinuteRollup tells it again with its next batch or tick
 *     rollup rebuilt    a publish of a newer incarnation (api.ts): as after an eviction. What sockets were told and is no more is sent, too,
 *                       with nothing in it; what the older incarnation still has under way is void
 *
 * A socket is accepted and given its snapshot in one step, so no frame can come before it. A frame is encoded once and sent to all.
 * A timer holds off hibernation for half a second at most.
 */

import { DurableObject } from "cloudflare:workers";
import { createHash } from "node:crypto";
import { shardName } from "../../r2-layout/keys.ts";
import { INGEST, LIVE } from "../../r2-layout/limits.ts";
import { countOf, parseShards } from "../../r2-layout/shards.ts";
import type { MinuteRollupApi } from "../minute-rollup/api.ts";
import { liveWindow } from "../minute-rollup/live-window.ts";
import type { ObjectNamespace } from "../namespace.ts";
import type { LiveFrame, LiveHubApi, LiveMinute, ShardUpdate } from "./api.ts";
import { clientMessageVerdict, type SocketAttachment } from "./client-message.ts";
import { LiveBoard } from "./live-board.ts";
import { SentFrames } from "./sent-frames.ts";

export interface LiveHubEnv {
  readonly MINUTE_ROLLUP: ObjectNamespace<Pick<MinuteRollupApi, "recent">>;
  readonly SHARDS?: string;
}

const TAG = "live";
/** The platform's six connections, so that restoring from many shards does not queue up elsewhere. */
const ASKED_AT_ONCE = 6;

export class LiveHub extends DurableObject<LiveHubEnv> implements LiveHubApi {
  readonly #sent: SentFrames;
  #board: LiveBoard | null = null;
  #restoring: Promise<LiveBoard> | null = null;
  /** Minutes to look at when the next frames go out. */
  readonly #changed = new Set<number>();
  #timer: ReturnType<typeof setTimeout> | null = null;
  #flushedAt = 0;
  #snapshot: { readonly of: string; readonly minutes: string } | null = null;

  constructor(ctx: DurableObjectState, env: LiveHubEnv) {
    super(ctx, env);
    this.#sent = new SentFrames(ctx.storage.sql, countOf(parseShards(env.SHARDS ?? "1")));
    // Answered by the runtime without waking the object.
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
  }

  async publish(update: ShardUpdate): Promise<void> {
    if (!this.#board && !this.#restoring && this.#sockets().length === 0) return;
    if (update.shards > this.#sent.shards) {
      this.#sent.shards = update.shards;
      this.#board = null;
      this.#restoring = null;
    }
    let board = await this.#restored();
    // Once: what was asked for after this publish came is at least as new. Shards that are rebuilt together share one restoring.
    if (board.isOutdatedBy(update)) {
      if (this.#board === board) this.#board = null;
      if (this.#sockets().length === 0) return;
      board = await this.#restored();
    }
    for (const minute of board.apply(update)) this.#changed.add(minute);
    this.#schedule();
  }

  override async fetch(request: Request): Promise<Response> {
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      return refused(426, "upgrade_required", "This address is for websockets");
    }
    if (this.#sockets().length >= LIVE.sockets)
      return refused(503, "too_many_sockets", "Too many screens are watching");
    let board: LiveBoard;
    try {
      board = await this.#restored();
    } catch (error) {
      console.error(JSON.stringify({ at: "live_restore", error: String(error) }));
      return refused(503, "upstream_unavailable", "A part that answers this is not there right now");
    }
    const { 0: client, 1: server } = new WebSocketPair();
    const first = this.#sockets().length === 0;
    this.ctx.acceptWebSocket(server, [TAG]);
    server.serializeAttachment({ since: Date.now(), messages: 0 } satisfies SocketAttachment);
    this.#sendSnapshot(server, board, first);
    this.#schedule();
    return new Response(null, { status: 101, webSocket: client });
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void {
    const verdict = clientMessageVerdict(message, socket.deserializeAttachment() as SocketAttachment | null);
    if (verdict.kind === "close") socket.close(verdict.code, verdict.reason);
    else socket.serializeAttachment(verdict.attachment);
  }

  override webSocketClose(socket: WebSocket, code: number): void {
    // 1005 and 1006 say that there was no code: they may be read, never sent.
    close(socket, code === 1005 || code === 1006 ? 1000 : code, "");
  }

  override webSocketError(socket: WebSocket): void {
    close(socket, 1011, "socket error");
  }

  #sockets(): WebSocket[] {
    return this.ctx.getWebSockets(TAG).filter(({ readyState }) => readyState === WebSocket.OPEN);
  }

  /** The board, asked for anew where there is none. Publishes that come meanwhile wait for it, then add what is newer. */
  async #restored(): Promise<LiveBoard> {
    if (this.#board) return this.#board;
    const restoring = this.#restoring ?? this.#restore(this.#sent.shards);
    this.#restoring = restoring;
    try {
      const board = await restoring;
      if (this.#restoring !== restoring) return this.#board ?? this.#restored();
      this.#board = board;
      this.#restoring = null;
      this.#snapshot = null;
      // Whoever hibernated may have missed some of it. Not sent yet: what woke the hub comes along in the same frames.
      for (const minute of [...board.starts(Date.now()), ...this.#sent.minutes()]) this.#changed.add(minute);
      return board;
    } catch (error) {
      if (this.#restoring === restoring) this.#restoring = null;
      throw error;
    }
  }

  async #restore(shards: number): Promise<LiveBoard> {
    const board = new LiveBoard(shards);
    const { from, to } = liveWindow(Date.now());
    for (let first = 0; first < shards; first += ASKED_AT_ONCE) {
      const asked = Array.from({ length: Math.min(ASKED_AT_ONCE, shards - first) }, async (_, i) => {
        const shard = first + i;
        const recent = await this.env.MINUTE_ROLLUP.getByName(`core:${shardName(shard)}`).recent(from, to);
        board.apply({ shard, shards, ...recent });
      });
      await Promise.all(asked);
    }
    return board;
  }

  #schedule(): void {
    if (this.#timer !== null || this.#changed.size === 0) return;
    // With one shard there is nothing to wait for. With several, most of what belongs together comes within a moment.
    const gather = this.#sent.shards > 1 ? LIVE.coalesceMs : 0;
    const waitMs = Math.max(gather, this.#flushedAt + LIVE.frameIntervalMs - Date.now());
    if (waitMs <= 0) this.#flush();
    else {
      this.#timer = setTimeout(() => {
        this.#timer = null;
        this.#flush();
      }, waitMs);
    }
  }

  #flush(): void {
    const board = this.#board;
    if (!board) return;
    const now = Date.now();
    board.prune(now);
    const changed = [...this.#changed].sort((one, other) => one - other);
    this.#changed.clear();
    const sockets = this.#sockets();
    if (sockets.length === 0) return;
    const at = new Date(now).toISOString();
    const frames: string[] = [];
    const { from } = liveWindow(now);
    for (const start of changed) {
      if (start < from) continue;
      const minute = board.minuteOrEmpty(start);
      const seq = this.#sent.next(start, signature(minute));
      if (seq !== null) frames.push(encode({ type: "minute", seq, at, ...minute }));
    }
    if (frames.length === 0) return;
    this.#flushedAt = now;
    this.#sent.save(from);
    for (const socket of sockets) for (const frame of frames) send(socket, frame);
  }

  /** @param first no other socket is open: then the snapshot is all that anybody has been told. */
  #sendSnapshot(socket: WebSocket, board: LiveBoard, first: boolean): void {
    const now = Date.now();
    const { from } = liveWindow(now);
    if (first) {
      this.#sent.replace(board.starts(now).map((start) => [start, signature(board.minute(start)!)]));
      this.#sent.save(from);
    }
    // Encoded once for all who come while nothing changes: after a network failure everybody comes at once. `at` is theirs.
    const of = `${board.revision} ${from}`;
    if (this.#snapshot?.of !== of) {
      this.#snapshot = { of, minutes: JSON.stringify(board.starts(now).map((start) => board.minute(start))) };
    }
    const head = {
      type: "snapshot",
      seq: this.#sent.seq,
      at: new Date(now).toISOString(),
    } satisfies Partial<LiveFrame>;
    send(socket, `${JSON.stringify(head).slice(0, -1)},"minutes":${this.#snapshot.minutes}}`);
  }
}

/** What a socket was told, in short. A correction may move a minute's events to another page and leave their number as it was. */
function signature(minute: LiveMinute): string {
  const { events, version, state } = minute;
  return `${events} ${version} ${state} ${createHash("sha256").update(JSON.stringify(minute)).digest("base64").slice(0, 12)}`;
}

const encode = (frame: LiveFrame): string => JSON.stringify(frame);

/** A socket that is closing throws: its client will get a snapshot when it comes back. */
function send(socket: WebSocket, frame: string): void {
  try {
    socket.send(frame);
  } catch {
    close(socket, 1011, "cannot send");
  }
}

function close(socket: WebSocket, code: number, reason: string): void {
  try {
    socket.close(code, reason);
  } catch {
    // It is closed already.
  }
}

function refused(status: number, reason: string, title: string): Response {
  const headers: Record<string, string> = { "content-type": "application/problem+json", "cache-control": "no-store" };
  if (status === 503) headers["retry-after"] = String(INGEST.retryAfterSeconds);
  return new Response(JSON.stringify({ type: `urn:eventpile:problem:${reason}`, title, status, reason }), {
    status,
    headers,
  });
}
