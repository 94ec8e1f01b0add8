/**
 * The registry of contracts. Whoever may read anything may read them; `admin` registers. A POST of the same document again changes nothing,
 * `?try=1` only tells whether it would be registered.
 */
import type { Hono } from "hono";
import {
  CONTRACT_REGISTRY_NAME,
  type ContractEntry,
  type ContractRegistryApi,
  type RegisterAnswer,
  ROLLOUT_MODES,
  type Rollout,
  type StoredContract,
} from "../../../durable-objects/contract-registry/api.ts";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import { COMPATIBILITY_LEVELS, type CompatibilityLevel } from "../../../r2-layout/contracts/compatibility.ts";
import { EVENT_COLUMNS } from "../../../r2-layout/event-columns.ts";
import { CONTRACT } from "../../../r2-layout/limits.ts";
import { isLongerThan } from "../../../r2-layout/utf8.ts";
import { problem } from "../../problem.ts";
import { readBytes } from "../body.ts";
import { readJsonBody } from "../json-body.ts";
import { badParameter, Refused } from "../parameters.ts";

export interface ContractRoutes {
  readonly registry: ObjectNamespace<ContractRegistryApi>;
  /** @throws Refused where the token may not. */
  readonly reader: (request: Request) => void;
  readonly admin: (request: Request) => void;
}

export function addContracts(app: Hono, { registry: registries, reader, admin }: ContractRoutes): void {
  const registry = () => registries.getByName(CONTRACT_REGISTRY_NAME);

  app.get("/v1/contracts", async (c) => {
    reader(c.req.raw);
    return c.json({ contracts: (await registry().list()).map(entryJson) });
  });

  app.post("/v1/contracts", async (c) => {
    admin(c.req.raw);
    const trial = new URL(c.req.url).searchParams.get("try");
    if (trial !== null && trial !== "1") throw badParameter("try", "1, or absent");
    return registered(await registry().register(await documentOf(c.req.raw), trial === "1" ? "try" : undefined));
  });

  app.get("/v1/contracts/:event", async (c) => {
    reader(c.req.raw);
    const versions = await registry().versions(c.req.param("event"));
    if (versions.length === 0) return problem({ reason: "not_found" });
    return c.json({ event_name: versions[0]!.eventName, versions: versions.map(contractJson) });
  });

  app.get("/v1/contracts/:event/:version", async (c) => {
    reader(c.req.raw);
    const versions = await registry().versions(c.req.param("event"));
    const wanted = c.req.param("version");
    const found = wanted === "latest" ? versions.at(-1) : versions.find(({ version }) => String(version) === wanted);
    return found ? c.json(contractJson(found)) : problem({ reason: "not_found" });
  });

  app.put("/v1/contracts/:event/rules", async (c) => {
    admin(c.req.raw);
    const { compatibility, policy = "strict" } = await readJsonBody(c.req.raw, CONTRACT.rulesBytes, [
      "compatibility",
      "policy",
    ]);
    if (!COMPATIBILITY_LEVELS.includes(compatibility as CompatibilityLevel))
      throw badParameter("compatibility", `one of ${COMPATIBILITY_LEVELS.join(", ")}`);
    if (policy !== "strict" && policy !== "lenient") throw badParameter("policy", "strict or lenient");
    const entry = await registry().setRules(c.req.param("event"), {
      level: compatibility as CompatibilityLevel,
      policy,
    });
    return entry ? c.json(entryJson(entry)) : problem({ reason: "not_found" });
  });

  app.put("/v1/contracts/:event/rollout", async (c) => {
    admin(c.req.raw);
    const entry = await registry().setRollout(c.req.param("event"), await rolloutOf(c.req.raw));
    if (entry === "full") return problem({ reason: "too_many_contracts", limit: CONTRACT.rollouts });
    if (entry === "too_large") return problem({ reason: "too_many_contracts", limit: CONTRACT.enforcedBytes });
    return entry ? c.json(entryJson(entry)) : problem({ reason: "not_found" });
  });
}

const ROLLOUT_MEMBERS = ["source", "mode", "version"];

/** @throws Refused */
async function rolloutOf(request: Request): Promise<Rollout> {
  const { source = "*", mode, version = null } = await readJsonBody(request, CONTRACT.rulesBytes, ROLLOUT_MEMBERS);
  if (typeof source !== "string" || source === "" || isLongerThan(source, EVENT_COLUMNS.source.maxBytes))
    throw badParameter("source", "the name of a source, or * for all that have no rollout of their own");
  const known = ROLLOUT_MODES.find((one) => one === mode);
  if (!known) throw badParameter("mode", `one of ${ROLLOUT_MODES.join(", ")}`);
  if (version !== null && !Number.isSafeInteger(version))
    throw badParameter("version", "a version of the contract, or absent for the newest");
  return { source, mode: known, version: version as number | null };
}

/** As it was sent: the registry keeps it so. @throws Refused */
async function documentOf(request: Request): Promise<string> {
  const limits = { bodyBytes: CONTRACT.documentBytes, inflatedBytes: CONTRACT.documentBytes };
  const bytes = await readBytes(request, limits);
  if (!bytes.ok) throw new Refused(bytes.error);
  const text = new TextDecoder().decode(bytes.value).trim();
  if (text === "") throw new Refused({ reason: "empty_body" });
  try {
    JSON.parse(text);
  } catch (error) {
    throw new Refused({ reason: "bad_json", detail: error instanceof Error ? error.message : "it is not JSON" });
  }
  return text;
}

function registered(answer: RegisterAnswer): Response {
  switch (answer.kind) {
    case "registered":
    case "known":
    case "passes":
      return Response.json(
        { state: answer.kind, ...contractJson(answer.contract) },
        { status: answer.kind === "registered" ? 201 : 200 },
      );
    case "invalid":
      return problem({ reason: "not_a_contract", path: answer.fault.path, detail: answer.fault.detail });
    case "taken":
      return problem({
        reason: "contract_exists",
        detail: `version ${answer.version} of ${answer.eventName} is another document, and versions do not change`,
      });
    case "gap":
      return problem({
        reason: "contract_version_gap",
        expected: answer.expected,
        detail: `version ${answer.version} of ${answer.eventName} cannot come before version ${answer.expected}`,
      });
    case "incompatible": {
      const { level: compatibility, policy } = answer.rules;
      return problem({ reason: "incompatible_contract" }, { compatibility, policy, breaks: answer.breaks });
    }
    case "full":
      return problem({ reason: "too_many_contracts", limit: answer.limit });
  }
}

export const contractJson = ({ eventName, version, document, fingerprint, createdAt }: StoredContract) => ({
  event_name: eventName,
  version,
  fingerprint,
  created_at: new Date(createdAt).toISOString(),
  document: JSON.parse(document) as unknown,
});

const entryJson = ({ eventName, versions, meaning, owner, rules, rollouts }: ContractEntry) => ({
  event_name: eventName,
  versions,
  meaning,
  owner,
  compatibility: rules.level,
  policy: rules.policy,
  rollouts,
});
