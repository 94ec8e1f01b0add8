import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { beginErasure, type ErasureProgress, nextStore } from "../../../queues/erasure/erasure-progress.ts";
import {
  ERASURE_STORES,
  type ErasureRun,
  type ErasureStore,
  type ErasureStoreName,
  nothingFound,
} from "../../../queues/erasure/erasure-store.ts";
import { purge } from "../../../queues/erasure/purge.ts";
import { JobStore } from "../../../queues/replay/job-store.ts";
import type { Saved } from "../../../queues/replay/saved.ts";
import { ERASURE, REPLAY } from "../../../r2-layout/limits.ts";
import { MapBucket } from "./map-bucket.ts";

/** A store with so many pages of traces, which fails where it is told to: before or after what it does. */
class PagedStore implements ErasureStore {
  readonly name: ErasureStoreName;
  left: number;
  calls = 0;
  readonly #fails: (call: number) => "before" | "after" | null;

  constructor(name: ErasureStoreName, pages: number, fails: (call: number) => "before" | "after" | null) {
    this.name = name;
    this.left = pages;
    this.#fails = fails;
  }

  async erase() {
    const fault = this.#fails(this.calls++);
    if (fault === "before") throw new Error("injected");
    const had = Math.min(1, this.left);
    this.left -= had;
    if (fault === "after") throw new Error("injected");
    const replaced = had
      ? [{ old: `${this.name}/${this.left}`, oldSha256: "00", new: null, newSha256: null, bytes: 0 }]
      : [];
    return {
      done: this.left === 0,
      position: null,
      found: { ...nothingFound("pages"), found: had, removed: had, replaced },
    };
  }

  async verify() {
    if (this.#fails(this.calls++) !== null) throw new Error("injected");
    return { done: true, position: null, traces: this.left, statement: `${this.left} pages are left` };
  }
}

function kept(): Saved<ErasureProgress> {
  let now: ErasureProgress = { ...beginErasure(), stage: "stores" };
  return {
    get now() {
      return now;
    },
    note(change) {
      now = { ...now, ...change };
    },
    // As the desk keeps it: JSON.
    async save(change) {
      now = JSON.parse(JSON.stringify({ ...now, ...change }));
    },
  };
}

function rig(stores: readonly ErasureStore[]) {
  const clock = { ms: 1_000 };
  const progress = kept();
  const job = new JobStore(new MapBucket(), "erasure-1");
  const run = {
    id: "erasure-1",
    subjects: [{ kind: "user", id: "ann" }],
    untilMs: 0,
    now: () => clock.ms,
  } as unknown as ErasureRun;
  return { clock, progress, step: () => purge({ ...run, untilMs: clock.ms }, { stores, job, progress }) };
}

describe("the stores of an erasure", () => {
  it("promise 7: whatever fails and however often, the request is open until each store has erased and found nothing, and then confirmed", async () => {
    const faults = fc.array(fc.constantFrom(null, "before" as const, "after" as const), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(3), faults), { minLength: 2, maxLength: 5 }), async (plans) => {
        const stores = plans.map(
          ([pages, fault], n) => new PagedStore(ERASURE_STORES[n]!, pages, (call) => fault[call] ?? null),
        );
        const { clock, progress, step } = rig(stores);
        for (let n = 0; ; n++) {
          expect(n).toBeLessThan(500);
          const end = await step();
          const open = stores.filter(({ name }) => progress.now.stores[name].state !== "confirmed");
          expect(end === "done").toBe(open.length === 0);
          if (end === "done") break;
          for (const { name, left } of stores) {
            if (progress.now.stores[name].state === "confirmed") expect(left).toBe(0);
          }
          clock.ms += end.inMs + 1;
        }
        for (const { name } of stores)
          expect(progress.now.stores[name]).toMatchObject({ traces: 0, error: null, attempts: 0 });
      }),
    );
  });

  it("are not held up by one that is down, and say why it is open", async () => {
    const down = new PagedStore("lake", 1, () => "before");
    const up = new PagedStore("records", 2, () => null);
    const { progress, step } = rig([down, up]);
    for (let n = 0; n < 8; n++) await step();
    expect(progress.now.stores.records.state).toBe("confirmed");
    expect(progress.now.stores.lake).toMatchObject({ state: "waiting", error: "injected", attempts: 1 });
    expect(await step()).toEqual({ inMs: expect.any(Number) });
  });

  it("ask one that fails later and later, but each minute at least", async () => {
    const { clock, progress, step } = rig([new PagedStore("log", 1, () => "before")]);
    const waits: number[] = [];
    for (let n = 0; n < 20; n++) {
      const end = await step();
      if (end === "done") throw new Error("it is down");
      waits.push(progress.now.stores.log.retryAt! - clock.ms);
      clock.ms = progress.now.stores.log.retryAt!;
    }
    expect(waits).toEqual(waits.toSorted((one, other) => one - other));
    expect(waits[0]).toBe(REPLAY.retryMs);
    expect(waits.at(-1)).toBe(REPLAY.retryMaxMs);
  });

  it("erase anew where the verification still finds something", async () => {
    const store = new PagedStore("emails", 1, () => null);
    const { clock, progress, step } = rig([store]);
    await step();
    store.left = 1; // It came back.
    await step();
    expect(progress.now.stores.emails).toMatchObject({ state: "erasing", traces: 1, error: "1 traces were left" });
    clock.ms = progress.now.stores.emails.retryAt!;
    await step();
    expect(await step()).toBe("done");
    expect(progress.now.stores.emails).toMatchObject({ state: "confirmed", found: 2, removed: 2, replaced: 2 });
  });

  it("keep no erased person's name in what they failed with", async () => {
    const store = new PagedStore("log", 1, () => null);
    store.erase = async () => {
      throw new Error("no segment for ann");
    };
    const { progress, step } = rig([store]);
    await step();
    expect(progress.now.stores.log.error).toBe("failed; its words name an erased person");
  });

  it("wait for those that name what they delete", () => {
    const present = new Set(ERASURE_STORES);
    const begun = beginErasure();
    const state = (names: readonly ErasureStoreName[]): ErasureProgress => ({
      ...begun,
      stores: {
        ...begun.stores,
        ...Object.fromEntries(names.map((name) => [name, { ...begun.stores[name], state: "confirmed" as const }])),
      },
    });
    const others = ERASURE_STORES.filter((name) => name !== "orphans" && name !== "iceberg");
    expect(nextStore(begun, present, 0)).toBe("lake");
    expect(nextStore(state(others), present, 0)).toBe("iceberg");
    expect(nextStore(state(others.filter((name) => name !== "lake")), present, 0)).toBe("lake");
    expect(nextStore(state([...others, "iceberg"]), present, 0)).toBe("orphans");
    expect(nextStore(state(ERASURE_STORES), present, 0)).toBeNull();
  });

  it("name ERASURE.replacementsListed objects of a slice, and count further ones", async () => {
    const many = Array.from({ length: ERASURE.replacementsListed + 1 }, (_, n) => ({
      old: `o${n}`,
      oldSha256: "",
      new: null,
      newSha256: null,
      bytes: 0,
    }));
    const store = new PagedStore("lake", 0, () => null);
    store.erase = async () => ({
      done: true,
      position: null,
      found: { unit: "pages", found: 0, removed: 0, replaced: many } as never,
    });
    const { progress, step } = rig([store]);
    await step();
    expect(progress.now.stores.lake.replaced).toBe(ERASURE.replacementsListed + 1);
  });
});
