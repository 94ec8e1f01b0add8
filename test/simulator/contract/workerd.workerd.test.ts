/** The real bucket and objects keep the contract that the simulated ones keep (simulated.test.ts). */
import { evictDurableObject, reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach } from "vitest";
import { bucketContract } from "./bucket-contract.ts";
import type { ContractApi } from "./contract-object.ts";
import { objectContract } from "./object-contract.ts";

const bindings = env as unknown as {
  readonly BUCKET: R2Bucket;
  readonly CONTRACT: { getByName(name: string): ContractApi & DurableObjectStub };
};

afterEach(reset);

bucketContract(async () => bindings.BUCKET);

objectContract(async () => ({
  object: (name) => bindings.CONTRACT.getByName(name),
  evict: (name) => evictDurableObject(bindings.CONTRACT.getByName(name)),
  until: async (condition) => {
    const giveUp = Date.now() + 10_000;
    while (!(await condition())) {
      if (Date.now() > giveUp) throw new Error("not within 10 s");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  },
}));
