/** Which properties the contracts in force declare to be about people and keep: those are nobody's oversight. */
import type { EnforcedContract } from "../../durable-objects/contract-registry/api.ts";
import { parseContract } from "../../r2-layout/contracts/contract.ts";
import type { IsDeclared } from "./tally.ts";

const ALL_SOURCES = "*";

/**
 * What a contract treats is not among them: it does not reach the log as it is, so where it is found there, the policy was not in force
 * yet, or somebody got round it.
 */
export function declaredBy(enforced: readonly EnforcedContract[]): IsDeclared {
  const kept = new Map<string, readonly (readonly string[])[]>();
  for (const { source, eventName, document } of enforced) {
    const parsed = parseContract(JSON.parse(document));
    if (!parsed.ok) continue;
    const paths = parsed.value.pii.filter(({ treatment }) => treatment === "keep").map(({ path }) => path);
    kept.set(`${source}\n${eventName}`, paths);
  }
  return (source, eventName, path) => {
    const paths = kept.get(`${source}\n${eventName}`) ?? kept.get(`${ALL_SOURCES}\n${eventName}`) ?? [];
    return paths.some((one) => one.every((name, i) => path[i] === name));
  };
}
