/** The live state for a component: frames applied as they come, the connection's state beside it. */
import { useEffect, useRef, useState } from "preact/hooks";
import { readProblem } from "../shell/problem.ts";
import { rejectToken, token } from "../shell/token.ts";
import { applyFrame, type LiveFrame, type LiveState } from "./minutes.ts";
import { type Connection, type Link, type LiveSocket, openLiveSocket } from "./socket.ts";

export interface Live {
  readonly state: LiveState | null;
  readonly link: Link;
  /** When the last frame came, this browser's clock. */
  readonly frameAt: number | null;
  retryNow(): void;
}

export function useLive(): Live {
  const [state, setState] = useState<LiveState | null>(null);
  const [link, setLink] = useState<Link>({ state: "connecting" });
  const [frameAt, setFrameAt] = useState<number | null>(null);
  const socket = useRef<LiveSocket | null>(null);

  useEffect(() => {
    const key = token.value ?? "";
    const opened = openLiveSocket({
      connect: (events) => connect(key, events),
      refusal: () => refusal(key),
      onText(text) {
        const frame = parseFrame(text);
        if (!frame) return;
        setFrameAt(Date.now());
        setState((before) => applyFrame(before, frame, Date.now()));
      },
      onLink: setLink,
      now: Date.now,
      random: Math.random,
      setTimer: (run, ms) => setTimeout(run, ms),
      clearTimer: (timer) => clearTimeout(timer as number),
    });
    socket.current = opened;
    addEventListener("online", opened.retryNow);
    return () => {
      removeEventListener("online", opened.retryNow);
      opened.close();
    };
  }, []);
  return { state, link, frameAt, retryNow: () => socket.current?.retryNow() };
}

/** A frame of a kind this page does not know is left alone: the server may be newer. */
function parseFrame(text: string): LiveFrame | null {
  const frame = JSON.parse(text) as { type?: string };
  return frame.type === "snapshot" || frame.type === "minute" ? (frame as LiveFrame) : null;
}

function connect(key: string, events: { onOpen(): void; onText(text: string): void; onClose(): void }): Connection {
  const url = new URL("/v1/live", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.searchParams.set("token", key);
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
