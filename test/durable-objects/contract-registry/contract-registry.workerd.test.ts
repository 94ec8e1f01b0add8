import { env, reset, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, it } from "vitest";
import { CONTRACT_REGISTRY_NAME, type ContractRegistryApi } from "../../../durable-objects/contract-registry/api.ts";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import { CONTRACT } from "../../../r2-layout/limits.ts";

afterEach(() => reset());

const registries = (env as unknown as { CONTRACT_REGISTRY: ObjectNamespace<ContractRegistryApi> }).CONTRACT_REGISTRY;
const registry = () => registries.getByName(CONTRACT_REGISTRY_NAME);
const contract = (event: string, version: number, type = "string"): string =>
  JSON.stringify({
    "x-event": event,
    "x-version": version,
    "x-owner": "growth@example.com",
    description: "Something happened.",
    type: "object",
    properties: { plan: { type } },
  });

describe("the registry of contracts", () => {
  it("gives one of two who push the same version at once the version, and tells the other", async () => {
    const answers = await Promise.all(
      ["string", "boolean"].map((type) => registry().register(contract("Bought", 1, type))),
    );
    expect(answers.map(({ kind }) => kind).sort()).toEqual(["registered", "taken"]);
    expect(await registry().versions("Bought")).toHaveLength(1);
  });

  it("has CONTRACT.names event names, and not one more; what it has may go on", async () => {
    expect((await registry().register(contract("Bought", 1))).kind).toBe("registered");
    await runInDurableObject(registry() as never, (_, { storage }) => {
      for (let i = 0; i < CONTRACT.names - 2; i++) {
        const event = `event ${i}`;
        storage.sql.exec("INSERT INTO contract VALUES (?, 1, ?, 'f', 0)", event, contract(event, 1));
      }
    });
    expect((await registry().register(contract("Sold", 1))).kind).toBe("registered");
    expect(await registry().register(contract("Lent", 1))).toEqual({ kind: "full", limit: CONTRACT.names });
    expect((await registry().register(contract("Sold", 2))).kind).toBe("registered");
    expect((await registry().list()).length).toBe(CONTRACT.names);
  });

  it("tells, in pages, which events are looked after: those that are rolled out, and those of which something is expected", async () => {
    const expecting = JSON.stringify({ ...JSON.parse(contract("Expected", 2)), "x-expectations": {} });
    for (const text of [contract("Bought", 1), contract("Rolled out", 1), contract("Taken back", 1)])
      await registry().register(text);
    for (const text of [contract("Expected", 1), expecting]) await registry().register(text);
    await registry().setRollout("Rolled out", { source: "*", mode: "warn", version: 1 });
    await registry().setRollout("Taken back", { source: "*", mode: "off", version: 1 });
    const first = await registry().watched("", 1);
    expect(first).toEqual({ contracts: [{ eventName: "Expected", document: expecting }], left: 1 });
    const { contracts, left } = await registry().watched("Expected", 5);
    expect([contracts.map(({ eventName }) => eventName), left]).toEqual([["Rolled out"], 0]);
  });
});
