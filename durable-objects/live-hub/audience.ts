/**
 * The sockets of one hub: what each of them listens to, and what it has been told.
 *
 *     connect            a snapshot of each topic; or, where the client names the last seq it saw, what has changed since
 *     flush              each frame goes to all who listen to its topic, in the order of their numbers, so that whatever a client
 *                        has got last, it has got everything before it
 *     hibernation        topics, and how far a slow client is, lie in the socket's attachment
 *     slow client        nothing more is sent while too much is unread. Once it has read on it is told what changed since, each
 *                        item once, in its newest state; one that reads nothing at all is closed
 *     lost on the way    a client that comes back says what it saw last
 *
 * While a client catches up, frames carry the number that it has already: a connection that breaks in the midst of several topics
 * leaves it where it was. The `resumed` frame behind them has the number that it has reached.
 */
import { LIVE } from "../../r2-layout/limits.ts";
import type { Refusal } from "./api.ts";
import { parseClientMessage } from "./client-message.ts";
import type { Feed } from "./feed.ts";
import { catchUpFrames, type Frame, refusedFrame, resumedFrame, snapshotFrame } from "./frames.ts";
import { MINUTES, type Topic } from "./topics.ts";
import { Unread } from "./unread.ts";

const TAG = "live";

/** Kept with the socket through hibernation. */
interface Attachment {
  /** Milliseconds. */
  readonly since: number;
  /** Messages that were ignored. */
  readonly messages: number;
  /** Absent in sockets of the previous version: the minutes. */
  readonly topics?: readonly Topic[];
  readonly subscribes?: number;
  /** It reads too slowly, and has been told nothing after this number. */
  readonly behind?: number;
}

interface Listener {
  attachment: Attachment;
  topics: ReadonlySet<Topic>;
  readonly unread: Unread;
  /** Since when it has been told nothing for being slow, milliseconds. */
  pausedAt: number;
  /** Of its newest `subscribe`: one that is still waiting for its topics gives way. */
  subscribing: number;
}

/** Where the topics come from. */
export interface Source {
  /** Of the newest frame. */
  readonly seq: number;
  feed(topic: Topic): Feed | null;
  /** Sees to it that there is a feed of each, which knows of `atLeast` if anybody does. @returns those that there are none of */
  open(topics: readonly Topic[], atLeast: number): Promise<ReadonlyMap<Topic, Refusal>>;
}

export class Audience {
  readonly #ctx: Pick<DurableObjectState, "getWebSockets" | "acceptWebSocket">;
  readonly #source: () => Source;
  readonly #clock: () => number;
  readonly #listeners = new WeakMap<WebSocket, Listener>();
  /** Sockets that are open, as far as is known; null: to be asked for. Asking for each that comes would cost as much as all of them. */
  #open: Set<WebSocket> | null = null;
  /** How many listen to each topic. */
  #watched: Map<Topic, number> | null = null;

  constructor(
    ctx: Pick<DurableObjectState, "getWebSockets" | "acceptWebSocket">,
    source: () => Source,
    clock = Date.now,
  ) {
    this.#ctx = ctx;
    this.#source = source;
    this.#clock = clock;
  }

  get size(): number {
    return this.#sockets().size;
  }

  /** Topics that anybody listens to. */
  watched(): ReadonlySet<Topic> {
    return new Set(this.#counts().keys());
  }

  /** The topics that are not refused have been opened: accepting and telling is one step, so that no frame can come in between. */
  accept(
    socket: WebSocket,
    topics: readonly Topic[],
    resume: number | null,
    refused: ReadonlyMap<Topic, Refusal>,
  ): void {
    const heard = topics.filter((topic) => !refused.has(topic));
    const sockets = this.#sockets();
    const counts = this.#counts();
    this.#ctx.acceptWebSocket(socket, [TAG]);
    sockets.add(socket);
    const listener = this.#know(socket, { since: this.#clock(), messages: 0, topics: heard });
    count(counts, heard, 1);
    this.#save(socket, listener, {});
    for (const [topic, reason] of refused) this.#send(socket, listener, refusedFrame(topic, reason));
    if (resume === null) this.#sendSnapshots(socket, listener, heard);
    else this.#catchUp(socket, listener, resume);
  }

  /** @param frames in the order of their numbers, up to `seq` */
  tell(frames: readonly Frame[], seq: number): void {
    const now = this.#clock();
    for (const socket of this.#sockets()) {
      const listener = this.#listener(socket);
      if (listener.attachment.behind !== undefined) {
        if (now - listener.pausedAt > LIVE.slowMs) this.close(socket, 1013, "too slow");
        continue;
      }
      for (const { topic, text } of frames) if (listener.topics.has(topic)) this.#send(socket, listener, text);
      if (!listener.unread.isTooMuch) continue;
      listener.pausedAt = now;
      this.#save(socket, listener, { behind: seq });
    }
  }

  async hear(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const said = parseClientMessage(message);
    const listener = this.#listener(socket);
    const { messages, subscribes = 0 } = listener.attachment;
    if (said.kind === "close") this.close(socket, said.code, said.reason);
    else if (said.kind === "subscribe" && subscribes < LIVE.subscribes) {
      this.#save(socket, listener, { subscribes: subscribes + 1 });
      await this.#subscribe(socket, listener, said.topics);
    } else if (said.kind === "ack" && listener.unread.read(said.seq)) await this.#readOn(socket, listener);
    else if (messages < LIVE.clientMessages) this.#save(socket, listener, { messages: messages + 1 });
    else this.close(socket, 1008, "too many messages");
  }

  /** Closes one, also one that was closed from there. */
  close(socket: WebSocket, code: number, reason: string): void {
    if (this.#sockets().delete(socket)) count(this.#counts(), [...this.#listener(socket).topics], -1);
    try {
      socket.close(code, reason);
    } catch {
      // It is closed already.
    }
  }

  async #subscribe(socket: WebSocket, listener: Listener, topics: readonly Topic[]): Promise<void> {
    const turn = ++listener.subscribing;
    const refused = await this.#source().open(topics, 0);
    if (turn !== listener.subscribing || socket.readyState !== WebSocket.OPEN) return;
    const heard = topics.filter((topic) => !refused.has(topic));
    const added = heard.filter((topic) => !listener.topics.has(topic));
    const isBehind = listener.attachment.behind !== undefined;
    count(this.#counts(), [...listener.topics], -1);
    count(this.#counts(), heard, 1);
    listener.topics = new Set(heard);
    // Who is behind gets everything anew when it has read on.
    this.#save(socket, listener, { topics: heard, ...(isBehind && { behind: 0 }) });
    for (const [topic, reason] of refused) this.#send(socket, listener, refusedFrame(topic, reason));
    if (!isBehind) this.#sendSnapshots(socket, listener, added);
  }

  async #readOn(socket: WebSocket, listener: Listener): Promise<void> {
    if (listener.attachment.behind === undefined || listener.unread.isTooMuch) return;
    await this.#source().open([...listener.topics], 0);
    const { behind } = listener.attachment;
    if (behind === undefined || socket.readyState !== WebSocket.OPEN) return;
    this.#save(socket, listener, { behind: undefined });
    this.#catchUp(socket, listener, behind);
  }

  #sendSnapshots(socket: WebSocket, listener: Listener, topics: readonly Topic[]): void {
    const source = this.#source();
    for (const topic of topics) {
      const feed = source.feed(topic);
      if (feed) this.#send(socket, listener, snapshotFrame(topic, feed, source.seq, this.#clock()));
    }
  }

  /** @param seen the number of what it saw last */
  #catchUp(socket: WebSocket, listener: Listener, seen: number): void {
    const now = this.#clock();
    const source = this.#source();
    const since = Math.min(seen, source.seq);
    for (const topic of listener.topics) {
      const feed = source.feed(topic);
      if (!feed) continue;
      // A number that nobody has given yet is none of ours.
      const items = seen > source.seq ? null : feed.after(since, now);
      const frames = items ? catchUpFrames(topic, items, since, now) : [snapshotFrame(topic, feed, since, now)];
      for (const text of frames) this.#send(socket, listener, text);
    }
    this.#send(socket, listener, resumedFrame(source.seq, now));
  }

  /** A socket that is closing throws: its client will say what it saw last when it comes back. */
  #send(socket: WebSocket, listener: Listener, text: string): void {
    try {
      socket.send(text);
      listener.unread.sent(text.length, this.#source().seq);
    } catch {
      this.close(socket, 1011, "cannot send");
    }
  }

  #sockets(): Set<WebSocket> {
    this.#open ??= new Set(this.#ctx.getWebSockets(TAG).filter(({ readyState }) => readyState === WebSocket.OPEN));
    return this.#open;
  }

  #counts(): Map<Topic, number> {
    if (!this.#watched) {
      this.#watched = new Map();
      for (const socket of this.#sockets()) count(this.#watched, [...this.#listener(socket).topics], 1);
    }
    return this.#watched;
  }

  #listener(socket: WebSocket): Listener {
    const known = this.#listeners.get(socket);
    if (known) return known;
    const attachment = socket.deserializeAttachment() as Attachment | null;
    return this.#know(socket, attachment ?? { since: this.#clock(), messages: 0 });
  }

  #know(socket: WebSocket, attachment: Attachment): Listener {
    const listener: Listener = {
      attachment,
      topics: new Set(attachment.topics ?? [MINUTES]),
      unread: new Unread(this.#source().seq),
      pausedAt: this.#clock(),
      subscribing: 0,
    };
    this.#listeners.set(socket, listener);
    return listener;
  }

  #save(socket: WebSocket, listener: Listener, more: Partial<Attachment>): void {
    listener.attachment = { ...listener.attachment, ...more };
    socket.serializeAttachment(listener.attachment);
  }
}

function count(counts: Map<Topic, number>, topics: readonly Topic[], more: 1 | -1): void {
  for (const topic of topics) {
    const listeners = (counts.get(topic) ?? 0) + more;
    if (listeners > 0) counts.set(topic, listeners);
    else counts.delete(topic);
  }
}
