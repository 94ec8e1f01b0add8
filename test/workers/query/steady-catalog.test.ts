import { describe, expect, it } from "vitest";
import { type QueriedCatalog, steadyCatalog } from "../../../workers/query/steady-catalog.ts";

/** A stub a call, each failing as told. */
function catalogThat(...fails: (Error | null)[]) {
  let stubs = 0;
  const catalog = steadyCatalog(() => {
    const failure = fails[stubs++] ?? null;
    const answer = async () => {
      if (failure) throw failure;
      return stubs as never;
    };
    return { plan: answer, place: answer, schema: answer } satisfies QueriedCatalog;
  });
  return { catalog, stubs: () => stubs };
}

const reset = () => Object.assign(new Error("The object was reset."), { remote: true });

describe("the catalog as statements ask it", () => {
  it.each(["plan", "place", "schema"] as const)(
    "is asked %s once more, by another stub, where it was reset",
    async (method) => {
      const { catalog, stubs } = catalogThat(reset());
      expect(await catalog[method]({} as never)).toBe(2);
      expect(stubs()).toBe(2);
    },
  );

  it("is not asked a third time", async () => {
    const { catalog, stubs } = catalogThat(reset(), reset());
    await expect(catalog.place()).rejects.toThrow("reset");
    expect(stubs()).toBe(2);
  });

  it.each([
    ["what it refuses", new RangeError("there is no such snapshot")],
    ["that it is overloaded", Object.assign(new Error("overloaded"), { overloaded: true })],
  ])("tells %s at once", async (_, failure) => {
    const { catalog, stubs } = catalogThat(failure);
    await expect(catalog.place()).rejects.toBe(failure);
    expect(stubs()).toBe(1);
  });
});
