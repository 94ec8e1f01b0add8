import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { reaching } from "./reaching.ts";

describe("a property that is to reach something", () => {
  it("runs once where it reaches it, and again with other draws where it does not", async () => {
    const draws = new Set<string>();
    for (const misses of [0, 1, 24]) {
      let runs = 0;
      await reaching(async () => {
        const drawn: number[] = [];
        await fc.assert(fc.asyncProperty(fc.integer(), async (value) => void drawn.push(value)));
        draws.add(drawn.join());
        return { "the end": ++runs > misses };
      });
      expect(runs).toBe(misses + 1);
    }
    expect(draws.size).toBe(1 + 2 + 25);
  });

  it("fails by the names of what no run has reached, and of nothing that one has", async () => {
    let runs = 0;
    const never = reaching(() => ({ "a fault": ++runs === 3, "an eviction": false, "a repeat": true }), 5);
    await expect(never).rejects.toThrow(/^never reached in 5 runs of the property: an eviction$/);
    expect(runs).toBe(5);
  });

  it("fails at once where the property does not hold", async () => {
    let runs = 0;
    const broken = reaching(() => {
      runs++;
      fc.assert(fc.property(fc.nat(), () => false));
      return { anything: false };
    });
    await expect(broken).rejects.toThrow("Property failed");
    expect(runs).toBe(1);
  });
});
