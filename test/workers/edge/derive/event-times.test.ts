import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { INGEST } from "../../../../r2-layout/limits.ts";
import { eventTimes, readTime } from "../../../../workers/edge/derive/event-times.ts";
import { parseOne, RECEIVED_AT, rowOf } from "../facts.ts";

const S = 1_000_000;
const HOUR = 3_600 * S;
const DAY = 24 * HOUR;

describe("when an event happened", () => {
  it.each([
    ["no times: when it was received", undefined, undefined, 0, []],
    ["a time without sentAt is taken at its word", -60 * S, undefined, -60 * S, []],
    ["a clock three hours slow is corrected", -3 * HOUR - 60 * S, -3 * HOUR, -60 * S, ["clock_skewed"]],
    ["a clock ten minutes fast is corrected", 599 * S, 600 * S, -S, []],
    ["an event that waited a day at the sender is late", -DAY, 0, -DAY, ["late"]],
    ["within an hour it is not late", -HOUR, 0, -HOUR, []],
    ["an hour and a second is late", -HOUR - S, 0, -HOUR - S, ["late"]],
    ["a day ahead is possible", DAY, undefined, DAY, []],
    ["more than a day ahead is not", DAY + 1, undefined, 0, ["clock_skewed"]],
  ])("%s", (_, client, sent, expected, flags) => {
    const at = (offset: number | undefined) => (offset === undefined ? undefined : RECEIVED_AT + offset);
    const times = eventTimes(at(client), at(sent), RECEIVED_AT);
    expect(times.eventTime - RECEIVED_AT).toBe(expected);
    expect([times.late && "late", times.clockSkewed && "clock_skewed"].filter(Boolean)).toEqual(flags);
  });

  it.each(["1970-01-01T00:00:00Z", "1999-12-31T23:59:59.999Z", "2099-01-01T00:00:00Z", 0, 4_102_444_800])(
    "an event of %s is kept at the time it came, flagged, with what the sender said beside it (promise 8)",
    (timestamp) => {
      const event = parseOne({ type: "track", event: "e", userId: "u", timestamp });
      expect(event.quarantine).toBeUndefined();
      expect(rowOf(event)).toMatchObject({
        event_time: RECEIVED_AT,
        client_time: readTime(timestamp),
        flags: ["clock_skewed"],
      });
    },
  );

  it("takes an event's own sentAt above that of its batch", () => {
    const call = { type: "track", event: "e", userId: "u", timestamp: "2026-11-22T10:00:00Z" };
    const own = parseOne({ ...call, sentAt: "2026-11-22T10:00:05Z" }, {}, { sentAt: "2026-11-22T11:59:59Z" });
    expect(rowOf(own).event_time).toBe(RECEIVED_AT - 5 * S);
    const shared = parseOne(call, {}, { sentAt: "2026-11-22T10:00:09Z" });
    expect(rowOf(shared).event_time).toBe(RECEIVED_AT - 9 * S);
  });

  it("always lies where a table of events can hold it, whatever the clocks say", () => {
    const time = fc.option(fc.integer({ min: -9e15, max: 9e15 }), { nil: undefined });
    fc.assert(
      fc.property(time, time, (client, sent) => {
        const { eventTime } = eventTimes(client, sent, RECEIVED_AT);
        expect(eventTime).toBeGreaterThanOrEqual(INGEST.oldestEventTimeMs * 1_000);
        expect(eventTime).toBeLessThanOrEqual(RECEIVED_AT + INGEST.futureSkewMs * 1_000);
      }),
    );
  });

  it("does not depend on how wrong the sender's clock is, while the result is possible", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 10 * DAY }),
        fc.integer({ min: -3_000 * DAY, max: 3_000 * DAY }),
        (waited, skew) => {
          const sent = RECEIVED_AT + skew;
          expect(eventTimes(sent - waited, sent, RECEIVED_AT).eventTime).toBe(RECEIVED_AT - waited);
        },
      ),
    );
  });
});
