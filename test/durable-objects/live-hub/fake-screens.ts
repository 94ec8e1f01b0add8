/** Sockets, screens and topics that a test holds in its hand: no network, no clock. */
import type { HubFrame } from "../../../durable-objects/live-hub/api.ts";
import { Audience, type Source } from "../../../durable-objects/live-hub/audience.ts";
import { Feed } from "../../../durable-objects/live-hub/feed.ts";
import { changeFrames, type Frame, snapshotFrame } from "../../../durable-objects/live-hub/frames.ts";
import type { Topic } from "../../../durable-objects/live-hub/topics.ts";
import { MINUTE_MS } from "../../../r2-layout/limits.ts";

export const NOW = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;
export const TILE: Topic = "tile:t0123456789abcdef";
export const TOPICS: readonly Topic[] = ["minutes", TILE];
/** What changes: of the minutes, and of the tile. */
export const IDS = ["minute1", "minute2", "minute3", "point1", "point2"] as const;

/** A socket whose frames lie in `inbox` until the client takes them. */
export class FakeSocket {
  readyState: number = WebSocket.OPEN;
  readonly inbox: string[] = [];
  code: number | null = null;
  #attachment: unknown = null;
  send(text: string): void {
    this.inbox.push(text);
  }
  close(code: number): void {
    this.code = code;
    this.readyState = WebSocket.CLOSED;
  }
  serializeAttachment(attachment: unknown): void {
    this.#attachment = structuredClone(attachment);
  }
  deserializeAttachment(): unknown {
    return this.#attachment;
  }
}

/** The sockets of a hub as it wakes up. @param sockets those that it had; whoever is accepted is added */
export function audienceOf(sockets: FakeSocket[], source: () => Source): Audience {
  const ctx = {
    getWebSockets: () => sockets as unknown as WebSocket[],
    acceptWebSocket: (socket: WebSocket) => void sockets.push(socket as unknown as FakeSocket),
  };
  return new Audience(ctx, source, () => NOW);
}

/** Topics whose items a test changes; numbered and told as a root does it. */
export class FakeTopics implements Source {
  seq = 1_000;
  /** The newest value of each item. */
  readonly truth = new Map<string, number>();
  readonly #feeds = new Map<Topic, Feed>(TOPICS.map((topic) => [topic, new Feed(1_000, MINUTE_MS)]));
  readonly #tell: (frames: readonly Frame[], seq: number) => void;
  #value = 0;

  constructor(tell: (frames: readonly Frame[], seq: number) => void) {
    this.#tell = tell;
  }

  feed = (topic: Topic): Feed | null => this.#feeds.get(topic) ?? null;
  open = async () => new Map();

  change(ids: readonly string[]): void {
    const frames = TOPICS.flatMap((topic) => {
      const changed = ids.filter((id) => id.startsWith(topic === "minutes" ? "minute" : "point"));
      const tileSeq = topic === "minutes" || changed.length === 0 ? 0 : ++this.seq;
      const items = changed.map((id) => {
        this.truth.set(id, ++this.#value);
        const item = { id, start: NOW, seq: tileSeq || ++this.seq, body: bodyOf(id, this.#value), gone: false };
        this.feed(topic)!.put(item);
        return item;
      });
      return changeFrames(topic, items, NOW);
    });
    this.#tell(frames, this.seq);
  }

  /** The tile's feed begins anew, as in a hub that woke up. */
  loseTile(): void {
    const feed = new Feed(++this.seq, MINUTE_MS);
    for (const [id, value] of this.truth) {
      if (id.startsWith("point")) feed.put({ id, start: NOW, seq: this.seq, body: bodyOf(id, value), gone: false });
    }
    this.#feeds.set(TILE, feed);
    this.#tell([{ topic: TILE, seq: this.seq, text: snapshotFrame(TILE, feed, this.seq, NOW) }], this.seq);
  }
}

const bodyOf = (id: string, value: number): string => JSON.stringify({ id, value });

export interface FakeHub {
  connect(socket: FakeSocket, resume: number | null): void;
  hear(socket: FakeSocket, message: object): Promise<void>;
}

/** Keeps to what docs say of a client: it resumes once it has had every snapshot, by the highest number seen. */
export class FakeScreen {
  readonly state = new Map<string, number>();
  /** What it was told twice, or was told after something newer, though it surely had it. */
  readonly doubles: string[] = [];
  /** Of each item, the newest that it was told. */
  #newest = new Map<string, number>();
  /** The same, without what a snapshot has taken away since. */
  #told = new Map<string, number>();
  /** Both as they were when it began to catch up: a connection that breaks before the end leaves it there. */
  #before: { newest: ReadonlyMap<string, number>; told: ReadonlyMap<string, number> } | null = null;
  socket = new FakeSocket();
  #hub: FakeHub;
  #seq = 0;
  readonly #snapshots = new Set<string>();

  constructor(hub: FakeHub) {
    this.#hub = hub;
    hub.connect(this.socket, null);
  }

  /** Reads so many frames of those that have arrived. */
  async read(count: number, ack: boolean): Promise<void> {
    for (const text of this.socket.inbox.splice(0, count)) this.#take(JSON.parse(text) as HubFrame);
    if (ack) await this.#hub.hear(this.socket, { type: "ack", seq: this.#seq });
  }

  /** Its connection breaks; it comes back, to whichever hub. What had arrived and was not read is lost. */
  reconnect(hub = this.#hub): void {
    this.#hub = hub;
    if (this.#before) {
      // What it was told since may come again, or older: another hub may be a moment behind the one that it was at.
      this.#newest = new Map(this.#before.newest);
      this.#told = new Map(this.#before.told);
    }
    this.socket.close(1006);
    this.socket = new FakeSocket();
    const canResume = this.#snapshots.size === TOPICS.length;
    if (!canResume) {
      // It does not say what it saw.
      this.#snapshots.clear();
      this.#newest.clear();
    }
    hub.connect(this.socket, canResume ? this.#seq : null);
    if (canResume) this.#catchUp();
  }

  #catchUp(): void {
    this.#before ??= { newest: new Map(this.#newest), told: new Map(this.#told) };
  }

  #take(frame: HubFrame): void {
    if (frame.type === "refused") return;
    // A number that it has already: it is being brought up to date.
    if (this.#snapshots.size === TOPICS.length && frame.seq <= this.#seq) this.#catchUp();
    this.#seq = Math.max(this.#seq, frame.seq);
    if (frame.type === "resumed") {
      this.#before = null;
      return;
    }
    const isSnapshot = frame.type.endsWith("snapshot");
    const kind = frame.type.includes("tile") ? "point" : "minute";
    if (isSnapshot) {
      this.#snapshots.add(kind);
      for (const items of [this.state, this.#told]) {
        for (const id of items.keys()) if (id.startsWith(kind)) items.delete(id);
      }
    }
    const { points, minutes = [frame] } = frame as { points?: unknown[]; minutes?: unknown[] };
    for (const { id, value } of (points ?? minutes) as { id: string; value: number }[]) {
      if (this.#told.get(id) === value) this.doubles.push(`${id} ${value}`);
      if ((this.#newest.get(id) ?? 0) > value) this.doubles.push(`${id} back to ${value}`);
      this.#newest.set(id, value);
      this.#told.set(id, value);
      this.state.set(id, value);
    }
  }
}
