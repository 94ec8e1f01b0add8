/**
 * Screens on `GET /v1/live`, thousands in one process: each keeps to docs/live.md (acknowledges, comes back with what it saw
 * last) and keeps what a page would show. A text that is the same as the one before it, as with most screens, is parsed once.
 */
import WebSocket from "ws";
import type { HubFrame, LiveMinute } from "../../durable-objects/live-hub/api.ts";

const ACK_CHARACTERS = 65_536;
/** As the page does: 1, 2, 4 ... 30 seconds, a part of it at random. */
const BACK_FIRST_MS = 1_000;
const BACK_MAX_MS = 30_000;
const OPENED_AT_ONCE = 40;

/** What a frame told of one minute, in short and whole. */
interface Told {
  readonly start: string;
  readonly state: string;
  readonly minute: LiveMinute;
}

interface Parsed {
  readonly type: HubFrame["type"];
  readonly seq: number;
  readonly told: readonly Told[];
}

export interface Counts {
  /** Frames of minutes that changed. */
  frames: number;
  snapshots: number;
  resumed: number;
  /** States that a screen had already, beside those of a catching up that broke off. */
  doubles: number;
  /** Connections that broke, and that were refused. */
  lost: number;
}

export class Screens {
  readonly counts: Counts = { frames: 0, snapshots: 0, resumed: 0, doubles: 0, lost: 0 };
  /** Called with each frame of a minute that any screen gets. */
  onMinute: (minute: LiveMinute, screen: number) => void = () => {};
  readonly #url: string;
  readonly #screens: Screen[] = [];
  readonly #parsed = { text: Buffer.alloc(0) as Buffer, frame: null as Parsed | null };
  #isClosing = false;

  constructor(url: string, token: string) {
    this.#url = `${url.replace("http", "ws")}/v1/live?token=${token}`;
  }

  /** Opens so many, each with its snapshot. */
  async open(count: number): Promise<void> {
    for (let first = 0; first < count; first += OPENED_AT_ONCE) {
      const some = Array.from({ length: Math.min(OPENED_AT_ONCE, count - first) }, () => {
        const screen = new Screen(this, this.#screens.length);
        this.#screens.push(screen);
        screen.connect();
        return screen.shown;
      });
      await Promise.all(some);
    }
  }

  get connected(): number {
    return this.#screens.filter(({ isOpen }) => isOpen).length;
  }

  /** Screens whose minutes are not these. @param truth events by start, without minutes that have none */
  differing(truth: ReadonlyMap<string, number>): number {
    return this.#screens.filter(({ minutes }) => {
      const shown = [...minutes.values()].filter(({ minute }) => minute.events > 0);
      return shown.length !== truth.size || shown.some(({ start, minute }) => truth.get(start) !== minute.events);
    }).length;
  }

  /** Numbers of the newest frame that the screens have seen: one, where all are equally far. */
  reached(): Set<number> {
    return new Set(this.#screens.map(({ seq }) => seq));
  }

  close(): void {
    this.#isClosing = true;
    for (const screen of this.#screens) screen.close();
  }

  get isClosing(): boolean {
    return this.#isClosing;
  }

  address(resume: number | null): string {
    return resume === null ? this.#url : `${this.#url}&resume=${resume}`;
  }

  parse(text: Buffer): Parsed | null {
    if (text.equals(this.#parsed.text)) return this.#parsed.frame;
    this.#parsed.text = text;
    this.#parsed.frame = text[0] === 0x7b ? parsed(JSON.parse(String(text)) as HubFrame) : null;
    return this.#parsed.frame;
  }
}

class Screen {
  readonly minutes = new Map<string, Told>();
  readonly #on: Screens;
  readonly #index: number;
  readonly #shown = Promise.withResolvers<void>();
  seq = 0;
  #socket: WebSocket | null = null;
  #hasSnapshot = false;
  #unacked = 0;
  #isCatchingUp = false;
  #mayRepeat = false;
  #failures = 0;

  constructor(on: Screens, index: number) {
    this.#on = on;
    this.#index = index;
  }

  get isOpen(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Once it has its first snapshot. */
  get shown(): Promise<void> {
    return this.#shown.promise;
  }

  connect(): void {
    this.#unacked = 0;
    this.#mayRepeat = this.#isCatchingUp;
    this.#isCatchingUp = this.#hasSnapshot;
    const socket = new WebSocket(this.#on.address(this.#hasSnapshot ? this.seq : null), { perMessageDeflate: false });
    this.#socket = socket;
    socket.on("message", (data: Buffer) => this.#take(data));
    socket.on("error", () => {}); // A close follows.
    socket.on("close", () => {
      if (this.#on.isClosing) return;
      this.#on.counts.lost++;
      const longest = Math.min(BACK_MAX_MS, BACK_FIRST_MS * 2 ** this.#failures++);
      setTimeout(() => this.connect(), longest * (0.5 + Math.random() / 2));
    });
  }

  close(): void {
    this.#socket?.terminate();
  }

  #take(text: Buffer): void {
    const frame = this.#on.parse(text);
    if (!frame) return;
    const { counts } = this.#on;
    this.#failures = 0;
    this.seq = Math.max(this.seq, frame.seq);
    if (frame.type === "snapshot") {
      counts.snapshots++;
      this.minutes.clear();
      this.#hasSnapshot = true;
      this.#shown.resolve();
    } else if (frame.type === "minute") counts.frames++;
    else if (frame.type === "resumed") {
      counts.resumed++;
      this.#isCatchingUp = false;
      this.#mayRepeat = false;
    }
    for (const told of frame.told) {
      if (this.minutes.get(told.start)?.state === told.state && !this.#mayRepeat) counts.doubles++;
      this.minutes.set(told.start, told);
      if (frame.type === "minute") this.#on.onMinute(told.minute, this.#index);
    }
    this.#unacked += text.length;
    if (this.#unacked < ACK_CHARACTERS) return;
    this.#unacked = 0;
    this.#socket?.send(JSON.stringify({ type: "ack", seq: this.seq }));
  }
}

function parsed(frame: HubFrame): Parsed {
  if (frame.type === "refused") throw new Error(JSON.stringify(frame));
  const minutes = frame.type === "snapshot" ? frame.minutes : frame.type === "minute" ? [frame] : [];
  const told = minutes.map((minute) => {
    const { type: _, seq: __, at: ___, ...state } = minute as LiveMinute & { type?: string; seq?: number; at?: string };
    return { start: minute.start, state: JSON.stringify(state), minute };
  });
  return { type: frame.type, seq: frame.seq, told };
}
