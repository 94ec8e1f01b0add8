/**
 * What the hub tells, for a component. Frames are applied as they come and drawn once a second, all tiles in one go: a wall of charts
 * then costs the same at one event a second and at thousands. What a person waits for (a first snapshot, a lost connection) is drawn at once.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import { readProblem } from "../shell/problem.ts";
import { rejectToken, token } from "../shell/token.ts";
import { LiveBoard } from "./board.ts";
import { LiveFeed } from "./feed.ts";
import { type Connection, type Link, type LiveSocket, openLiveSocket } from "./socket.ts";

export const FRAME_MS = 1_000;

export interface Live {
  readonly board: LiveBoard;
  readonly link: Link;
  /** When the last frame came, this browser's clock. */
  readonly frameAt: number | null;
  /** This browser's clock at the time of drawing. */
  readonly now: number;
  retryNow(): void;
}

/** @param topics what the tiles show; others may follow later, over the same connection. */
export function useLive(topics: readonly string[]): Live {
  const [drawn, draw] = useState<Omit<Live, "retryNow">>(() => ({
    board: new LiveBoard(),
    link: { state: "connecting" },
    frameAt: null,
    now: Date.now(),
  }));
  const socket = useRef<LiveSocket | null>(null);
  const feed = useRef<LiveFeed | null>(null);
  feed.current ??= new LiveFeed(topics);

  useEffect(() => {
    const key = token.value ?? "";
    const { board } = drawn;
    const current = feed.current!;
    const latest = { link: drawn.link, frameAt: drawn.frameAt };
    const redraw = () => draw({ board, ...latest, now: Date.now() });
    const opened = openLiveSocket({
      connect: (events) => connect(key, current.params(), events),
      refusal: () => refusal(key),
      beat: () => current.beat(),
      onText(text) {
        const { frame, say } = current.take(text);
        if (say) opened.send(say);
        if (!frame) return;
        latest.frameAt = Date.now();
        board.apply(frame, latest.frameAt);
        if (frame.type === "snapshot" || frame.type === "tile_snapshot" || frame.type === "refused") redraw();
      },
      onLink(link) {
        latest.link = link;
        redraw();
      },
      now: Date.now,
      random: Math.random,
      setTimer: (run, ms) => setTimeout(run, ms),
      clearTimer: (timer) => clearTimeout(timer as number),
    });
    socket.current = opened;
    const frames = setInterval(redraw, FRAME_MS);
    addEventListener("online", opened.retryNow);
    return () => {
      clearInterval(frames);
      removeEventListener("online", opened.retryNow);
      opened.close();
    };
  }, []);

  const named = topics.join();
  useEffect(() => {
    const say = feed.current!.want(topics);
    // Without a connection the next one asks for them.
    if (say) socket.current?.send(say);
  }, [named]);
  return { ...drawn, retryNow: () => socket.current?.retryNow() };
}

function connect(
  key: string,
  params: Readonly<Record<string, string>>,
  events: { onOpen(): void; onText(text: string): void; onClose(): void },
): Connection {
  const url = new URL("/v1/live", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.search = new URLSearchParams({ token: key, ...params }).toString();
  const socket = new WebSocket(url);
  socket.onopen = events.onOpen;
  socket.onclose = events.onClose;
  socket.onmessage = (event) => typeof event.data === "string" && events.onText(event.data);
  return {
    send: (text) => socket.send(text),
    close() {
      socket.close();
      // A dead peer does not answer the closing handshake; the browser would wait for it.
      socket.onmessage = null;
      socket.onclose = null;
      events.onClose();
    },
  };
}

async function refusal(key: string) {
  const response = await fetch("/v1/live", { headers: { Authorization: `Bearer ${key}` } }).catch(() => null);
  if (!response || (response.status !== 401 && response.status !== 403)) return null;
  if (response.status === 401) rejectToken(key);
  return readProblem(response);
}
