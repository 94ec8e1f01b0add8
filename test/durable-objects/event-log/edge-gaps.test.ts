import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { EdgeState, SentMessage } from "../../../durable-objects/event-log/edge-gaps.ts";
import { arrive } from "../../../durable-objects/event-log/edge-gaps.ts";

interface Totals {
  accepted: number;
  arrived: number;
  gaps: number;
}

function deliver(messages: readonly SentMessage[]): Totals & { state: EdgeState | undefined } {
  let state: EdgeState | undefined;
  const totals = { accepted: 0, arrived: 0, gaps: 0 };
  for (const message of messages) {
    const next = arrive(state, message);
    state = next.state;
    totals.accepted += next.change.accepted;
    totals.gaps += next.change.gaps;
    totals.arrived += message.events;
  }
  return { ...totals, state };
}

type Fate = "arrives" | "void" | "void, yet arrives" | "lost";

/** What an edge sends: a failed send is named in the void lists of the messages after it. */
function sent(plan: readonly { events: number; fate: Fate }[]): (SentMessage & { fate: Fate })[] {
  let before = 0;
  const voids: [number, number][] = [];
  return plan.map(({ events, fate }, i) => {
    const message = { n: i + 1, events, before, void: [...voids], fate };
    before += events;
    if (fate.startsWith("void")) voids.push([i + 1, events]);
    return message;
  });
}

const fate = fc.constantFrom<Fate>("arrives", "arrives", "arrives", "void", "void, yet arrives", "lost");
const plans = fc.array(fc.record({ events: fc.integer({ min: 1, max: 50 }), fate }), { minLength: 1, maxLength: 30 });

describe("gaps of an edge instance", () => {
  it("promise 3: whatever the order of arrival, accepted is what was sent and not void, gaps are the numbers lost", () => {
    fc.assert(
      fc.property(
        plans.chain((plan) => {
          const messages = sent(plan);
          const arriving = messages.filter(({ fate }) => fate === "arrives" || fate === "void, yet arrives");
          return fc.tuple(
            fc.constant(messages),
            fc.shuffledSubarray(arriving, { minLength: arriving.length, maxLength: arriving.length }),
          );
        }),
        ([messages, arriving]) => {
          const newest = Math.max(0, ...arriving.map(({ n }) => n));
          const told = new Set(arriving.flatMap((message) => message.void.map(([n]) => n)));
          const known = messages.filter(({ n }) => n <= newest);
          const owed = known.filter((message) => arriving.includes(message) || !told.has(message.n));
          const totals = deliver(arriving);
          expect(totals.accepted).toBe(owed.reduce((sum, { events }) => sum + events, 0));
          expect(totals.gaps).toBe(owed.filter((message) => !arriving.includes(message)).length);
        },
      ),
    );
  });

  it("shows a message lost before the log as a gap with its events", () => {
    const [first, , third] = sent([
      { events: 20, fate: "arrives" },
      { events: 10, fate: "lost" },
      { events: 5, fate: "arrives" },
    ]);
    expect(deliver([first!, third!])).toMatchObject({ accepted: 35, arrived: 25, gaps: 1 });
  });

  it("does not count a void message until it arrives after all", () => {
    const [first, second, third] = sent([
      { events: 20, fate: "arrives" },
      { events: 10, fate: "void, yet arrives" },
      { events: 5, fate: "arrives" },
    ]);
    expect(deliver([first!, third!])).toMatchObject({ accepted: 25, gaps: 0 });
    expect(deliver([first!, third!, second!])).toMatchObject({ accepted: 35, arrived: 35, gaps: 0 });
  });

  it("keeps a state that stays small however many messages arrive in order", () => {
    const { state } = deliver(sent(Array.from({ length: 5_000 }, () => ({ events: 1, fate: "arrives" as const }))));
    expect(state).toEqual({ n: 5_000, sent: 5_000, missing: [] });
  });
});
