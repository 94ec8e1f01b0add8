import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HeldBytes } from "../../../workers/edge/pressure.ts";

const MS = 60_000;

describe("the bytes that one isolate holds (promise 9)", () => {
  it("are at most the limit, to the byte, and free again once a request has ended", () => {
    const held = new HeldBytes(100, MS, () => 0);
    const [one, other, third] = [held.begin(), held.begin(), held.begin()];
    expect([one.grow(60), other.grow(40), third.grow(1)]).toEqual([true, true, false]);
    one.release();
    one.release(); // Twice is once.
    expect([held.bytes, third.grow(60), third.grow(61)]).toEqual([40, true, false]);
    expect(held.bytes).toBe(100);
  });

  it("of a request alone may be more: whatever is allowed at all is not turned away for ever", () => {
    const held = new HeldBytes(100, MS, () => 0);
    const alone = held.begin();
    expect([alone.grow(50), alone.grow(5_000)]).toEqual([true, true]);
    expect(held.begin().grow(1)).toBe(false);
    alone.release();
    expect(held.bytes).toBe(0);
  });

  it("are let go of after their time, where a request was cut off and never said so", () => {
    let now = 0;
    const held = new HeldBytes(100, MS, () => now);
    const lost = held.begin();
    lost.grow(100);
    now = MS - 1;
    expect(held.begin().grow(1)).toBe(false);
    now = MS;
    expect(held.begin().grow(100)).toBe(true);
    lost.release();
    lost.grow(500);
    expect(held.bytes).toBe(100);
  });

  it("never go beyond the limit but for one alone, and come back to nothing", () => {
    const action = fc.record({ request: fc.nat(4), grow: fc.option(fc.integer({ min: 0, max: 150 })) });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const held = new HeldBytes(100, MS, () => 0);
        const holds = new Map<number, { hold: ReturnType<HeldBytes["begin"]>; bytes: number }>();
        for (const { request, grow } of actions) {
          const known = holds.get(request) ?? { hold: held.begin(), bytes: 0 };
          holds.set(request, known);
          if (grow === null) {
            known.hold.release();
            holds.delete(request);
          } else if (known.hold.grow(grow)) known.bytes = Math.max(known.bytes, grow);
          const sizes = [...holds.values()].map(({ bytes }) => bytes);
          const sum = sizes.reduce((a, b) => a + b, 0);
          expect(held.bytes).toBe(sum);
          expect(sum <= 100 || sizes.filter((bytes) => bytes > 0).length === 1).toBe(true);
        }
        for (const { hold } of holds.values()) hold.release();
        expect(held.bytes).toBe(0);
      }),
    );
  });
});
