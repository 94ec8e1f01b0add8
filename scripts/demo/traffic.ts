/**
 * The shop's traffic as one stream of calls in the order of their times: visits start at random, more of them when the
 * world's evenings are busy, and run side by side. Pure: the clock is the caller's, the dice are seeded.
 */
import { Random } from "./random.ts";
import { SHOP } from "./shop.ts";
import { type Call, type Step, visit } from "./visit.ts";
import { uuid, type Visitor, Visitors, worldRhythm } from "./visitor.ts";

export interface TrafficEvent {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly visitor: Visitor;
  /** As Segment's batch API takes it, less the context that `batchOf` adds. */
  readonly event: Readonly<Record<string, unknown>>;
}

export interface TrafficOptions {
  readonly seed: number;
  readonly from: number;
  /** Averaged over a day. */
  readonly eventsPerSecond: number;
  /** Sets message ids apart from those of other runs with the same seed. */
  readonly run: string;
}

/** Measured over a simulated day: calls of an average visit. */
const CALLS_PER_VISIT = 12.7;
/** Visits take some minutes at most: begun so much earlier, as many are under way at the start as later. */
const LEAD_MS = 300_000;

interface Active {
  at: number;
  call: Call;
  readonly steps: Generator<Step>;
  readonly visitor: Visitor;
  readonly sessionId: string;
}

export function* traffic(options: TrafficOptions): Generator<TrafficEvent> {
  const random = new Random(options.seed);
  const visitors = new Visitors(options.seed, random);
  const active: Active[] = [];
  const visitEveryMs = (1_000 * CALLS_PER_VISIT) / options.eventsPerSecond;
  let nextVisitAt = options.from - LEAD_MS;
  let count = 0;
  for (;;) {
    const next = first(active);
    if (next === null || next.at >= nextVisitAt) {
      start(nextVisitAt);
      nextVisitAt += random.wait(visitEveryMs / worldRhythm(nextVisitAt));
      continue;
    }
    const { at, call, visitor, sessionId } = next;
    if (at >= options.from)
      yield { at, visitor, event: eventOf(call, visitor, sessionId, at, `${options.run}-${++count}`) };
    advance(next);
  }

  function start(at: number): void {
    const visitor = visitors.next(at);
    const steps = visit(visitor, visitors.arrival(), random);
    const [waitMs, call] = steps.next().value as Step;
    active.push({ at: at + waitMs, call, steps, visitor, sessionId: uuid(random) });
  }

  function advance(visit: Active): void {
    const step = visit.steps.next();
    if (step.done) {
      active.splice(active.indexOf(visit), 1);
      return;
    }
    visit.at += Math.max(1, Math.round(step.value[0]));
    visit.call = step.value[1];
  }
}

/** Some hundred visits at most are under way: a list will do. */
function first(active: readonly Active[]): Active | null {
  let earliest: Active | null = null;
  for (const visit of active) if (earliest === null || visit.at < earliest.at) earliest = visit;
  return earliest;
}

function eventOf(call: Call, visitor: Visitor, sessionId: string, at: number, id: string): Record<string, unknown> {
  const { device, place } = visitor;
  const url = `${SHOP.origin}${call.path}${call.search ?? ""}`;
  const web = {
    page: {
      url,
      path: call.path,
      ...(call.title !== undefined && { title: call.title }),
      ...(call.referrer && { referrer: call.referrer }),
    },
    library: { name: "analytics.js", version: "npm:next-1.84.3" },
  };
  return {
    type: call.type,
    ...(call.event !== undefined && { event: call.event }),
    ...(call.name !== undefined && { name: call.name }),
    messageId: `demo-${id}`,
    anonymousId: visitor.anonymousId,
    ...(visitor.signedIn && { userId: visitor.userId }),
    timestamp: new Date(at).toISOString(),
    ...(call.traits !== undefined && { traits: call.traits }),
    ...(call.type !== "identify" && { properties: { ...(call.type === "page" && web.page), ...call.properties } }),
    context: {
      sessionId,
      locale: place.locale,
      screen: { width: device.screen[0], height: device.screen[1] },
      ...(device.kind === "web"
        ? web
        : {
            app: { name: SHOP.name, version: "4.2" },
            os: device.os,
            device: device.device,
            library: { name: device.os.name === "iOS" ? "analytics-swift" : "analytics-kotlin", version: "1.9.1" },
          }),
    },
  };
}
