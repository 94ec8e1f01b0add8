import { describe, expect, it } from "vitest";
import type { ContractRegistryApi, EnforcedContract } from "../../../../durable-objects/contract-registry/api.ts";
import { CONTRACT } from "../../../../r2-layout/limits.ts";
import { ContractBook } from "../../../../workers/edge/contracts/contract-book.ts";

const document = JSON.stringify({
  "x-event": "Signed up",
  "x-version": 1,
  "x-owner": "growth",
  description: "It happened.",
  type: "object",
  required: ["plan"],
});
const CONTRACTS: EnforcedContract[] = [{ eventName: "Signed up", source: "*", mode: "reject", document }];

class Registry implements Pick<ContractRegistryApi, "enforced"> {
  revision = 1;
  contracts = CONTRACTS;
  asked: (number | null)[] = [];
  answer: () => Promise<void> = async () => {};

  async enforced(known: number | null) {
    this.asked.push(known);
    await this.answer();
    return known === this.revision ? null : { revision: this.revision, contracts: this.contracts };
  }
}

function rig() {
  const registry = new Registry();
  let now = 1_000_000;
  const book = new ContractBook(
    () => registry,
    () => now,
  );
  const background: Promise<unknown>[] = [];
  const isChecked = async () => {
    const checks = await book.current((work) => void background.push(work));
    return checks.check("shop", "Signed up", {}) !== null;
  };
  const later = (ms: number) => {
    now += ms;
  };
  return { registry, isChecked, background, later };
}

describe("what an isolate knows of the registry", () => {
  it("is asked for by its first request, and not again for CONTRACT.bookMs", async () => {
    const { registry, isChecked, later } = rig();
    expect(await isChecked()).toBe(true);
    later(CONTRACT.bookMs - 1);
    expect(await isChecked()).toBe(true);
    expect(registry.asked).toEqual([null]);
  });

  it("is asked for anew in the background by one request, while all go on by what is known", async () => {
    const { registry, isChecked, background, later } = rig();
    await isChecked();
    Object.assign(registry, { revision: 2, contracts: [] });
    later(CONTRACT.bookMs);
    expect([await isChecked(), await isChecked()]).toEqual([true, true]);
    await Promise.all(background);
    expect(registry.asked).toEqual([null, 1]);
    expect(await isChecked()).toBe(false);
  });

  it("stays what it was where the registry says that nothing is new", async () => {
    const { registry, isChecked, background, later } = rig();
    await isChecked();
    later(CONTRACT.bookMs);
    await isChecked();
    await Promise.all(background);
    expect(registry.asked).toEqual([null, 1]);
    expect(await isChecked()).toBe(true);
  });

  it("stays what it was where the registry fails, and is asked for again after CONTRACT.bookRetryMs", async () => {
    const { registry, isChecked, background, later } = rig();
    await isChecked();
    registry.answer = () => Promise.reject(new Error("gone"));
    later(CONTRACT.bookMs);
    await isChecked();
    await Promise.all(background);
    expect(await isChecked()).toBe(true);
    later(CONTRACT.bookRetryMs - 1);
    await isChecked();
    expect(registry.asked.length).toBe(2);
    later(1);
    await isChecked();
    expect(registry.asked.length).toBe(3);
  });

  it("promise 1: a new isolate takes events unchecked where the registry hangs, after CONTRACT.bookWaitMs", async () => {
    const { registry, isChecked, later } = rig();
    registry.answer = () => new Promise(() => {});
    expect(await isChecked()).toBe(false);
    expect(await isChecked()).toBe(false);
    expect(registry.asked.length).toBe(1);
    registry.answer = async () => {};
    later(CONTRACT.bookRetryMs);
    expect(await isChecked()).toBe(true);
  });
});
