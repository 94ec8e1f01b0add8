import { beforeEach, describe, expect, it, vi } from "vitest";
import { type Client, createClient } from "../../../workers/beacon/client.ts";
import type { BeaconEvent } from "../../../workers/beacon/event.ts";
import { createIdentity, SESSION_GAP_MS } from "../../../workers/beacon/identity.ts";
import { memoryStore, openStore, type Store } from "../../../workers/beacon/storage.ts";

let time: number;
let ids: number;
let sent: BeaconEvent[];
let client: Client;

function open(store: Store): Client {
  const newId = () => `id-${++ids}`;
  const sender = {
    add: (json: string) => void sent.push(JSON.parse(json)),
    flush: async () => {},
    hide() {},
    resume() {},
  };
  const options = { writeKey: "dev", endpoint: "", flushMs: 100, flushCount: 100, autoPage: true };
  const context = () => ({ page_url: "https://shop.example/cart" });
  return createClient(
    options,
    createIdentity(store, () => time, newId),
    sender,
    context,
    () => time,
    newId,
  );
}

beforeEach(() => {
  time = Date.UTC(2026, 10, 22, 5);
  ids = 0;
  sent = [];
  client = open(memoryStore());
});

describe("events", () => {
  it("carry the columns' names", () => {
    client.configure({ app: { name: "shop", version: "1.2" } });
    client.track("Order Completed", { revenue: 12.5 });
    expect(sent[0]).toEqual({
      event_id: "id-1",
      event_type: "track",
      event_name: "Order Completed",
      client_time: "2026-11-22T05:00:00.000Z",
      anonymous_id: "id-2",
      session_id: "id-3",
      client_seq: 1,
      page_url: "https://shop.example/cart",
      sdk: "eventpile-beacon/0.1.0",
      app_name: "shop",
      app_version: "1.2",
      properties: { revenue: 12.5 },
    });
  });

  it("never throw into the page that measures", () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    client.track("cycle", cycle);
    expect(sent).toEqual([]);
    expect(warn).toHaveBeenCalledOnce();
    warn.mockRestore();
  });
});

describe("identity", () => {
  it("keeps the device across pages, the user from identify on, and neither after reset", () => {
    const store = memoryStore();
    open(store).page();
    open(store).identify("ada", { plan: "pro" });
    open(store).page();
    const last = open(store);
    last.reset();
    last.page();
    expect(sent.map((event) => event.user_id)).toEqual([undefined, "ada", "ada", undefined]);
    expect(sent[1]).toMatchObject({ event_type: "identify", event_name: "identify", traits: { plan: "pro" } });
    const devices = sent.map((event) => event.anonymous_id);
    expect(new Set(devices.slice(0, 3)).size).toBe(1);
    expect(devices[3]).not.toBe(devices[0]);
    expect(sent[3]?.session_id).not.toBe(sent[2]?.session_id);
  });

  it("ends a session after 30 minutes of silence, and numbers the events within it", () => {
    client.page();
    time += SESSION_GAP_MS - 1;
    client.page();
    time += SESSION_GAP_MS;
    client.page();
    expect(sent.map((event) => event.client_seq)).toEqual([1, 2, 1]);
    expect(sent[1]?.session_id).toBe(sent[0]?.session_id);
    expect(sent[2]?.session_id).not.toBe(sent[1]?.session_id);
  });
});

describe("storage", () => {
  it("falls back to the next store, and to memory, where one is blocked", () => {
    const blocked = (): Store => {
      throw new DOMException("denied", "SecurityError");
    };
    const full: Store = {
      ...memoryStore(),
      setItem() {
        throw new DOMException("full", "QuotaExceededError");
      },
    };
    const session = memoryStore();
    expect(openStore([blocked, () => session])).toBe(session);
    const memory = openStore([blocked, () => full]);
    memory.setItem("a", "1");
    expect(memory.getItem("a")).toBe("1");
  });
});
