import { beforeEach, describe, expect, it } from "vitest";
import { type Link, openLiveSocket, PING_EVERY_MS, SILENCE_MS } from "../../../workers/console/live/socket.ts";
import type { Problem } from "../../../workers/console/shell/problem.ts";
import { FakeClock, settle } from "../beacon/fakes.ts";

interface FakeConnection {
  open(): void;
  text(text: string): void;
  drop(): void;
  sent: string[];
  closed: boolean;
}

let clock: FakeClock;
let connections: FakeConnection[];
let links: Link[];
let texts: string[];
let refusal: Problem | null;
let refusalKnown: Promise<void>;

function open() {
  return openLiveSocket({
    connect({ onOpen, onText, onClose }) {
      const sent: string[] = [];
      const connection: FakeConnection = { open: onOpen, text: onText, drop: onClose, sent, closed: false };
      connections.push(connection);
      return {
        send: (text) => void sent.push(text),
        close() {
          connection.closed = true;
          onClose();
        },
      };
    },
    refusal: () => refusalKnown.then(() => refusal),
    onText: (text) => void texts.push(text),
    onLink: (link) => void links.push(link),
    now: clock.now,
    random: clock.random,
    setTimer: clock.setTimer,
    clearTimer: clock.clearTimer,
  });
}

beforeEach(() => {
  clock = new FakeClock();
  connections = [];
  links = [];
  texts = [];
  refusal = null;
  refusalKnown = Promise.resolve();
});

describe("a lost connection", () => {
  it("comes back after waits that grow, and starts small again once something was heard", async () => {
    open();
    for (let i = 0; i < 3; i++) {
      connections.at(-1)!.drop();
      await settle();
      const link = links.at(-1)!;
      expect(link.state === "lost" && link.retryAt - clock.time).toBe(500 * 2 ** i);
      await clock.pass(500 * 2 ** i);
      expect(connections).toHaveLength(i + 2);
    }
    connections.at(-1)!.open();
    connections.at(-1)!.text("frame");
    connections.at(-1)!.drop();
    await settle();
    const link = links.at(-1)!;
    expect(link.state === "lost" && link.retryAt - clock.time).toBe(500);
  });

  it("can be tried at once, and never makes two connections", async () => {
    const socket = open();
    connections[0]!.drop();
    socket.retryNow();
    await clock.pass(60_000);
    expect(connections).toHaveLength(2);
    socket.retryNow();
    await clock.pass(60_000);
    expect(connections).toHaveLength(2);
  });

  it("is tried once only, when somebody was quicker than the server's reasons", async () => {
    let tell = () => {};
    refusalKnown = new Promise((resolve) => {
      tell = resolve;
    });
    const socket = open();
    connections[0]!.drop();
    socket.retryNow();
    await clock.pass(1);
    connections[1]!.open();
    tell();
    await clock.pass(60_000);
    expect(connections).toHaveLength(2);
    expect(links.at(-1)).toEqual({ state: "open" });
  });

  it("is not tried again when the server refuses the token", async () => {
    refusal = { status: 403, reason: "missing_scope", title: "This token may not do that" };
    open();
    connections[0]!.drop();
    await clock.pass(120_000);
    expect(links.at(-1)).toEqual({ state: "refused", problem: refusal });
    expect(connections).toHaveLength(1);
  });

  it("is noticed by its silence, where the server has answered pings before", async () => {
    open();
    connections[0]!.open();
    expect(connections[0]!.sent).toEqual(["ping"]);
    connections[0]!.text("pong");
    await clock.pass(SILENCE_MS + PING_EVERY_MS + 1);
    expect(connections[0]!.closed).toBe(true);
    expect(connections).toHaveLength(2);
    expect(texts).toEqual([]);
  });

  it("is left open where the server does not answer pings", async () => {
    open();
    connections[0]!.open();
    await clock.pass(10 * SILENCE_MS);
    expect(connections).toHaveLength(1);
    expect(connections[0]!.closed).toBe(false);
  });
});

it("closes for good when the page goes, also while it waits", async () => {
  const first = open();
  first.close();
  expect(connections[0]!.closed).toBe(true);
  const second = open();
  connections[1]!.drop();
  second.close();
  await clock.pass(120_000);
  expect(connections).toHaveLength(2);
  expect(clock.timers).toBe(0);
});
