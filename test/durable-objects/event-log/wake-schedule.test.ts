import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WakeSchedule } from "../../../durable-objects/event-log/wake-schedule.ts";

describe("the wake schedule", () => {
  it("wakes a sink that is behind at once, then at most once a second while the log grows", () => {
    const schedule = new WakeSchedule();
    expect(schedule.dueAt("lake", 1, 0)).toBe(0);
    schedule.sent("lake", 1, 0, 10_000);
    expect(schedule.dueAt("lake", 2, 0)).toBe(11_000);
    schedule.sent("lake", 2, 0, 11_000);
    expect(schedule.dueAt("lake", 3, 1)).toBe(12_000);
  });

  it("lets a sink sleep that has reached the head", () => {
    const schedule = new WakeSchedule();
    expect(schedule.dueAt("lake", 0, 0)).toBeNull();
    expect(schedule.dueAt("lake", 5, 5)).toBeNull();
  });

  it("waits twice as long each time nothing has moved, up to ten seconds, and a second again once something has", () => {
    const schedule = new WakeSchedule();
    const waits: number[] = [];
    let now = 0;
    for (let i = 0; i < 6; i++) {
      schedule.sent("sessions", 7, 3, now);
      const due = schedule.dueAt("sessions", 7, 3)!;
      waits.push(due - now);
      now = due;
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    expect(schedule.dueAt("sessions", 7, 4)! - (now - 10_000)).toBe(1_000);
    schedule.sent("sessions", 7, 4, now);
    expect(schedule.dueAt("sessions", 7, 4)! - now).toBe(1_000);
  });

  it("never wakes twice within a second, whatever moves", () => {
    const move = fc.record({ head: fc.integer({ min: 0, max: 5 }), cursor: fc.integer({ min: 0, max: 5 }) });
    fc.assert(
      fc.property(fc.array(move, { maxLength: 50 }), (moves) => {
        const schedule = new WakeSchedule();
        const sentAt: number[] = [];
        moves.forEach(({ head, cursor }, i) => {
          const now = 1_000_000 + i * 300;
          const due = schedule.dueAt("rollups", head, cursor);
          if (due === null || due > now) return;
          schedule.sent("rollups", head, cursor, now);
          sentAt.push(now);
        });
        for (let i = 1; i < sentAt.length; i++) expect(sentAt[i]! - sentAt[i - 1]!).toBeGreaterThanOrEqual(1_000);
      }),
    );
  });
});
