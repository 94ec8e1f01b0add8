/**
 * What of the registry is enforced, as one isolate of the edge knows it: at most `CONTRACT.bookMs` old. Events do not wait for the registry:
 *
 *     the isolate is new               its first requests wait for the registry, `CONTRACT.bookWaitMs` at most
 *     what is known is old             one request asks anew, in the background; all go on by what is known
 *     the registry does not answer     by what is known; in a new isolate unchecked, because refusing would lose events; asked again soon
 *
 * A request asks for itself: the runtime lets nobody await what another request has begun.
 */
import type { ContractRegistryApi } from "../../../durable-objects/contract-registry/api.ts";
import { CONTRACT } from "../../../r2-layout/limits.ts";
import { within } from "../pressure.ts";
import { ContractChecks } from "./contract-checks.ts";

const NONE = new ContractChecks();

export class ContractBook {
  readonly #registry: () => Pick<ContractRegistryApi, "enforced">;
  readonly #now: () => number;
  #checks: ContractChecks | null = null;
  #revision: number | null = null;
  /** Milliseconds: when to ask again. */
  #askAt = 0;

  /** @param now milliseconds */
  constructor(registry: () => Pick<ContractRegistryApi, "enforced">, now: () => number) {
    this.#registry = registry;
    this.#now = now;
  }

  /** @param waitUntil keeps the asking alive when the request has been answered. Never throws. */
  async current(waitUntil: (work: Promise<unknown>) => void): Promise<ContractChecks> {
    if (this.#now() < this.#askAt) return this.#checks ?? NONE;
    if (this.#checks) {
      this.#askAt = this.#now() + CONTRACT.bookRetryMs;
      waitUntil(this.#ask());
      return this.#checks;
    }
    await this.#ask();
    return this.#checks ?? NONE;
  }

  async #ask(): Promise<void> {
    try {
      const answer = await within(CONTRACT.bookWaitMs, "registry", this.#registry().enforced(this.#revision));
      if (answer) {
        this.#checks = new ContractChecks(answer.contracts);
        this.#revision = answer.revision;
      }
      this.#askAt = this.#now() + CONTRACT.bookMs;
    } catch (error) {
      this.#askAt = this.#now() + CONTRACT.bookRetryMs;
      console.error(JSON.stringify({ at: "contracts", error: String(error) }));
    }
  }
}
