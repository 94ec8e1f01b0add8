/**
 * A websocket that comes back: lost, it waits 1, 2, 4 ... 30 seconds, a part of it at random so that a wall of
 * screens does not return in one moment. A browser does not say why a handshake failed, so `refusal` asks over HTTP.
 * A connection that is dead but not closed is found by a ping: when the server has once answered one, silence counts.
 */
import type { Problem } from "../shell/problem.ts";

export type Link =
  | { readonly state: "connecting" }
  | { readonly state: "open" }
  /** Times of this browser's clock. */
  | { readonly state: "lost"; readonly at: number; readonly retryAt: number }
  | { readonly state: "refused"; readonly problem: Problem };

export interface Connection {
  send(text: string): void;
  close(): void;
}

export interface SocketParts {
  /** Opens a socket; exactly one `onClose` follows, whatever happens. */
  connect(events: { onOpen(): void; onText(text: string): void; onClose(): void }): Connection;
  /** Why the server does not let us in, or null when trying again makes sense. */
  refusal(): Promise<Problem | null>;
  /** What else to say with each ping. */
  beat?(): readonly string[];
  onText(text: string): void;
  onLink(link: Link): void;
  now(): number;
  random(): number;
  setTimer(run: () => void, ms: number): unknown;
  clearTimer(timer: unknown): void;
}

export const PING_EVERY_MS = 15_000;
export const SILENCE_MS = 35_000;
const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 30_000;

export interface LiveSocket {
  retryNow(): void;
  /** Said where the connection is open, else not at all. */
  send(text: string): void;
  close(): void;
}

export function openLiveSocket(parts: SocketParts): LiveSocket {
  let connection: Connection | null = null;
  let timer: unknown;
  let failures = 0;
  let closed = false;
  let isOpen = false;

  const wait = (run: () => void, ms: number) => {
    parts.clearTimer(timer);
    timer = parts.setTimer(run, ms);
  };

  const connect = () => {
    let opened = false;
    let pongs = 0;
    let heardAt = parts.now();
    const beat = () => {
      if (pongs > 0 && parts.now() - heardAt > SILENCE_MS) return own.close();
      for (const text of ["ping", ...(parts.beat?.() ?? [])]) own.send(text);
      wait(beat, PING_EVERY_MS);
    };
    const own = parts.connect({
      onOpen() {
        opened = true;
        isOpen = true;
        parts.onLink({ state: "open" });
        beat();
      },
      onText(text) {
        heardAt = parts.now();
        failures = 0;
        if (text === "pong") pongs++;
        else parts.onText(text);
      },
      onClose() {
        if (connection !== own) return;
        connection = null;
        isOpen = false;
        void lost(opened);
      },
    });
    connection = own;
  };

  const lost = async (opened: boolean) => {
    parts.clearTimer(timer);
    const at = parts.now();
    const problem = opened ? null : await parts.refusal();
    // `retryNow` may have been quicker.
    if (closed || connection) return;
    if (problem) return parts.onLink({ state: "refused", problem });
    const longest = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** failures++);
    const delay = longest * (0.5 + parts.random() / 2);
    parts.onLink({ state: "lost", at, retryAt: parts.now() + delay });
    wait(connect, delay);
  };

  parts.onLink({ state: "connecting" });
  connect();
  return {
    retryNow() {
      if (connection || closed) return;
      parts.onLink({ state: "connecting" });
      wait(connect, 0);
    },
    send(text) {
      if (isOpen) connection?.send(text);
    },
    close() {
      closed = true;
      isOpen = false;
      parts.clearTimer(timer);
      const last = connection;
      connection = null;
      last?.close();
    },
  };
}
