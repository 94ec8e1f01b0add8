/** Promise 9 at the edge, where no request is needed to meet a bound: each at its value and one beyond it. */
import { describe, expect, it } from "vitest";
import { INGEST, QUARANTINE, REPLAY } from "../../../r2-layout/limits.ts";
import { propertiesOf } from "../../../r2-layout/log-line.ts";
import { MICROS_PER_MS } from "../../../r2-layout/time.ts";
import { correctionSpec } from "../../../workers/edge/correction-request.ts";
import { eventTimes } from "../../../workers/edge/derive/event-times.ts";
import { EventSender, type MessageQueue } from "../../../workers/edge/event-sender.ts";
import { readJsonBody } from "../../../workers/edge/json-body.ts";
import { countParameter, Refused } from "../../../workers/edge/parameters.ts";
import type { KeptEvent } from "../../../workers/edge/parse-events.ts";
import { HeldBytes } from "../../../workers/edge/pressure.ts";
import { auditSpec, rate } from "../../../workers/edge/replay-request.ts";
import { idempotencyKey } from "../../../workers/edge/replay-routes.ts";
import { RECEIVED_AT } from "./facts.ts";

/** `ok`, or what was wrong. */
async function outcome(run: () => unknown): Promise<string> {
  try {
    await run();
    return "ok";
  } catch (error) {
    if (error instanceof Refused)
      return "parameter" in error.rejection ? error.rejection.parameter : error.rejection.reason;
    throw error;
  }
}

describe("an event", () => {
  it("has INGEST.propertiesPerEvent properties, further ones are not mapped", () => {
    const properties = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`p${i}`, i]));
    const mapped = (count: number) => Object.keys(propertiesOf({ properties: properties(count) })!).length;
    expect(mapped(INGEST.propertiesPerEvent)).toBe(INGEST.propertiesPerEvent);
    expect(mapped(INGEST.propertiesPerEvent + 1)).toBe(INGEST.propertiesPerEvent);
    expect(Object.keys(propertiesOf({ properties: properties(INGEST.propertiesPerEvent + 1) })!)).not.toContain(
      `p${INGEST.propertiesPerEvent}`,
    );
  });

  it("is late once it happened longer than INGEST.lateAfterMs ago", () => {
    const at = (us: number) => eventTimes(RECEIVED_AT - us, undefined, RECEIVED_AT).late;
    expect(at(INGEST.lateAfterMs * MICROS_PER_MS)).toBe(false);
    expect(at(INGEST.lateAfterMs * MICROS_PER_MS + 1)).toBe(true);
  });

  it("may be INGEST.futureSkewMs ahead, and is clamped and flagged beyond", () => {
    const at = (us: number) => eventTimes(us, undefined, RECEIVED_AT);
    const most = RECEIVED_AT + INGEST.futureSkewMs * MICROS_PER_MS;
    expect(at(most)).toMatchObject({ eventTime: most, clockSkewed: false });
    expect(at(most + 1)).toMatchObject({ eventTime: RECEIVED_AT, clientTime: most + 1, clockSkewed: true });
  });

  it("may be as old as INGEST.oldestEventTimeMs, and is clamped and flagged before", () => {
    const at = (us: number) => eventTimes(us, undefined, RECEIVED_AT);
    const oldest = INGEST.oldestEventTimeMs * MICROS_PER_MS;
    expect(at(oldest)).toMatchObject({ eventTime: oldest, clockSkewed: false });
    expect(at(oldest - 1)).toMatchObject({ eventTime: RECEIVED_AT, clientTime: oldest - 1, clockSkewed: true });
  });
});

describe("an administrative request", () => {
  it.each([
    ["REPLAY.bodyBytes", REPLAY.bodyBytes],
    ["QUARANTINE.bodyBytes", QUARANTINE.bodyBytes],
  ])("has a body of %s and no more", async (_, limit) => {
    const read = (bytes: number) => {
      const text = `{"body":"${"x".repeat(bytes - '{"body":""}'.length)}"}`;
      return outcome(() => readJsonBody(new Request("http://edge/", { method: "POST", body: text }), limit, ["body"]));
    };
    expect(await read(limit)).toBe("ok");
    expect(await read(limit + 1)).toBe("body_too_large");
  });

  it("asks for REPLAY.rateMax events a second, REPLAY.auditDays days, a note of REPLAY.noteChars, and no more", async () => {
    expect(await outcome(() => rate(REPLAY.rateMax))).toBe("ok");
    expect(await outcome(() => rate(REPLAY.rateMax + 1))).toBe("rate");
    const days = (count: number) => ({ days: Array.from({ length: count }, () => "2026-11-22") });
    expect(await outcome(() => auditSpec(days(REPLAY.auditDays), 0))).toBe("ok");
    expect(await outcome(() => auditSpec(days(REPLAY.auditDays + 1), 0))).toBe("days");
    const note = (chars: number) => ({
      filter: { from: 0, to: 1 },
      change: { retract: true },
      note: "x".repeat(chars),
    });
    expect(await outcome(() => correctionSpec(note(REPLAY.noteChars)))).toBe("ok");
    expect(await outcome(() => correctionSpec(note(REPLAY.noteChars + 1)))).toBe("note");
  });

  it("asks for REPLAY.jobsListedMax jobs and no more", async () => {
    const limit = (count: number) =>
      outcome(() =>
        countParameter(new URLSearchParams({ limit: String(count) }), "limit", {
          fallback: REPLAY.jobsListed,
          max: REPLAY.jobsListedMax,
        }),
      );
    expect(await limit(REPLAY.jobsListedMax)).toBe("ok");
    expect(await limit(REPLAY.jobsListedMax + 1)).toBe("limit");
  });
});

describe("a request", () => {
  it("has one message for as many lines as fit INGEST.messageBytes, and another for the next byte", async () => {
    /** Lengths of the messages that two lines of so many bytes together become. */
    const messages = async (bytes: number) => {
      const sent: string[] = [];
      const queue: MessageQueue = {
        send: async (body) => sent.push(body),
        sendBatch: async (batch) => sent.push(...batch.map(({ body }) => body)),
      };
      const half = Math.floor(bytes / 2);
      const lines = ["x".repeat(half), "x".repeat(bytes - half)];
      const events = lines.map(
        (line, index) =>
          ({
            index,
            event_id: `e${index}`,
            shard: 0,
            quarantine: undefined,
            names: [],
            line,
            late: false,
            clockSkewed: false,
          }) as KeptEvent,
      );
      await new EventSender("edge", [queue] as never).send(events, "shop", RECEIVED_AT);
      return sent.map((body) => Buffer.byteLength(body));
    };
    let [one, two]: [number, number] = [1, INGEST.messageBytes];
    while (two - one > 1) {
      const middle = (one + two) >> 1;
      if ((await messages(middle)).length === 1) one = middle;
      else two = middle;
    }
    expect((await messages(one)).length).toBe(1);
    expect((await messages(one + 1)).length).toBe(2);
    // With room for the longest header, so that no message is ever beyond.
    expect((await messages(one))[0]).toBeLessThanOrEqual(INGEST.messageBytes);
    expect(one).toBeGreaterThan(0.9 * INGEST.messageBytes);
  });

  it("is held with others up to INGEST.heldBytes, and let go of after INGEST.heldMs", () => {
    let now = 0;
    const held = new HeldBytes(INGEST.heldBytes, INGEST.heldMs, () => now);
    expect(held.begin().grow(INGEST.heldBytes - 1)).toBe(true);
    const other = held.begin();
    expect(other.grow(1)).toBe(true);
    expect(held.begin().grow(1)).toBe(false);
    now = INGEST.heldMs - 1;
    expect(held.begin().grow(1)).toBe(false);
    now = INGEST.heldMs;
    expect(held.begin().grow(1)).toBe(true);
  });
});

it("an Idempotency-Key of an administrative request has REPLAY.keyChars characters and no more", async () => {
  const key = (chars: number) =>
    outcome(() =>
      idempotencyKey({ req: { header: () => "k".repeat(chars), url: "http://edge/v1/replays" } } as never, "token"),
    );
  expect(await key(REPLAY.keyChars)).toBe("ok");
  expect(await key(REPLAY.keyChars + 1)).toBe("Idempotency-Key");
});
