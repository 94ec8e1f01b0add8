/**
 * The browser SDK: `<script async src="/beacon.js" data-write-key="dev"></script>`, then `eventpile.track(...)`.
 * Calls made before it has loaded may be left in an array: `(window.eventpile ||= []).push(["track", "signup"])`.
 */
import { type Client, createClient, type Options } from "./client.ts";
import { createIdentity } from "./identity.ts";
import { watchAddress } from "./page-views.ts";
import { createQueue } from "./queue.ts";
import { type Answer, createSender, type Transport } from "./sender.ts";
import { openStore } from "./storage.ts";

type Call = { [K in keyof Client]: [K, ...Parameters<Client[K]>] }[keyof Client];
declare global {
  interface Window {
    eventpile?: Client | Call[];
  }
}

/** Of one event, in the edge's answer. */
interface Outcome {
  readonly outcome: "ok" | "warning" | "drop" | "retry";
}

const script = document.currentScript as HTMLScriptElement | null;
const data = script?.dataset ?? {};
const options: Options = {
  writeKey: data.writeKey ?? "",
  endpoint: data.endpoint ?? new URL(script?.src ?? location.href).origin,
  flushMs: Number(data.flushMs ?? 100),
  flushCount: Number(data.flushCount ?? 100),
  autoPage: data.autoPage !== "false",
};

const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0").slice(-digits);
let minted = 0;
/**
 * Time, running number, 64 random bits: of two events in the same millisecond the later has the greater id, and that is
 * how they are sorted. Not crypto.randomUUID, which plain http does not have.
 */
const newId = () =>
  hex(now(), 12) +
  hex(minted++, 4) +
  Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => hex(byte, 2)).join("");
const now = () => Date.now();

// The key goes into the query and the body is text, so that no preflight is needed from another origin.
const url = () => `${options.endpoint}/v1/events?writeKey=${encodeURIComponent(options.writeKey)}`;
const transport: Transport = {
  async post(body): Promise<Answer> {
    const response = await fetch(url(), {
      method: "POST",
      body,
      keepalive: body.length < 60_000,
      credentials: "omit",
      // One request at a time: one that hangs would hold up all that follow. Older browsers do without.
      signal: AbortSignal.timeout?.(30_000),
    });
    const { status } = response;
    const answer: { outcomes?: Outcome[] } = status === 503 ? await response.json().catch(() => ({})) : {};
    const again = answer.outcomes?.flatMap(({ outcome }, index) => (outcome === "retry" ? index : []));
    return { status, retryAfter: response.headers.get("Retry-After"), again };
  },
  beacon: (body) => navigator.sendBeacon(url(), body),
  online: () => navigator.onLine !== false,
};

const store = openStore([() => localStorage, () => sessionStorage]);
const sender = createSender(
  createQueue(store, now, newId()),
  transport,
  {
    now,
    random: Math.random,
    setTimer: (run, ms) => setTimeout(run, ms),
    clearTimer: (timer) => clearTimeout(timer as number),
  },
  options,
);
const context = () => ({
  page_url: location.href.split("#")[0],
  page_title: document.title,
  referrer: document.referrer,
  locale: navigator.language,
  screen: `${screen.width}x${screen.height}`,
});
const client = createClient(options, createIdentity(store, now, newId), sender, context, now, newId);

const early = window.eventpile;
window.eventpile = client;
const calls = Array.isArray(early) ? early : [];
const run = ([name, ...args]: Call) => (client[name] as (...args: unknown[]) => unknown)(...args);
const isConfigure = (call: Call) => call[0] === "configure";
calls.filter(isConfigure).forEach(run);

const view = () => options.autoPage && client.page();
watchAddress(view);
view();
calls.filter((call) => !isConfigure(call)).forEach(run);

sender.resume();
addEventListener("online", sender.resume);
addEventListener("pagehide", sender.hide);
addEventListener("visibilitychange", () => document.visibilityState === "hidden" && sender.hide());
// Back from the back-forward cache: a new look at the page.
addEventListener("pageshow", (event) => event.persisted && view());
