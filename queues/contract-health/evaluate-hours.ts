/**
 * The hourly look at what contracts expect. An hour is reported once as soon as it is over, so that there is something to see, and
 * again when the lake has all of it: only then is it judged, and hours are judged in their order. What was reported of an event and hour
 * is known to the object, so doing it twice is doing it once, and whoever comes next goes on where a crash has left off.
 */
import {
  CONTRACT_HEALTH_NAME,
  type ContractHealthApi,
  type HourReport,
} from "../../durable-objects/contract-health/api.ts";
import {
  CONTRACT_REGISTRY_NAME,
  type ContractRegistryApi,
  type WatchedContract,
} from "../../durable-objects/contract-registry/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { parseContract } from "../../r2-layout/contracts/contract.ts";
import { cameOf, coveredFields, type SourceHour } from "../../r2-layout/contracts/expected.ts";
import { HEALTH, HOUR_MS } from "../../r2-layout/limits.ts";
import { type AskSql, hourOf, readHours } from "./hour-sql.ts";
import { isSettled, type SettledDeps } from "./settled-hour.ts";

export interface ContractHealthDeps extends SettledDeps {
  readonly registry: ObjectNamespace<Pick<ContractRegistryApi, "watched">>;
  readonly health: ObjectNamespace<Pick<ContractHealthApi, "open" | "todo" | "report" | "finish">>;
  /** @throws SqlRefused where the statement is too much; anything else where nobody answers now. */
  readonly ask: AskSql;
}

/** What one isolate cannot answer, now or later. */
export class SqlRefused extends Error {}

export interface HealthPart {
  /** Its beginning, milliseconds. */
  readonly hour: number;
  readonly isFinal: boolean;
  /** The last event that was done, and how many were. */
  readonly after: string;
  readonly done: number;
}

export type HealthMessage = { readonly now?: boolean; readonly part?: HealthPart };

/** A bounded slice. @param message `now`: the hour that goes on is reported, too. @returns where to go on, null at the end */
export async function evaluateHours(
  deps: ContractHealthDeps,
  nowMs: number,
  { now = false, part }: HealthMessage,
): Promise<HealthMessage | null> {
  if (!part) {
    const due = await nextHour(deps, nowMs);
    if (due) return { ...(now && { now }), part: due };
    return now ? { part: begin(hourOf(nowMs), false) } : null;
  }
  const rest = await evaluateSlice(deps, part);
  if (rest) return { ...(now && { now }), part: rest };
  // Another hour may be open; what is not final was the last.
  return part.isFinal ? { ...(now && { now }) } : now ? { part: begin(hourOf(nowMs), false) } : null;
}

const begin = (hour: number, isFinal: boolean): HealthPart => ({ hour, isFinal, after: "", done: 0 });

async function nextHour(deps: ContractHealthDeps, nowMs: number): Promise<HealthPart | null> {
  const open = await deps.health.getByName(CONTRACT_HEALTH_NAME).open(nowMs);
  const [oldest] = open;
  if (oldest === undefined) return null;
  if (await isSettled(deps, oldest, nowMs)) return begin(oldest, true);
  return begin(open.at(-1)!, false);
}

async function evaluateSlice(deps: ContractHealthDeps, part: HealthPart): Promise<HealthPart | null> {
  const health = deps.health.getByName(CONTRACT_HEALTH_NAME);
  const limit = Math.min(HEALTH.eventsPerSlice, HEALTH.events - part.done);
  const { contracts, left } = await deps.registry.getByName(CONTRACT_REGISTRY_NAME).watched(part.after, limit);
  const names = contracts.map(({ eventName }) => eventName);
  const todo = new Set(await health.todo(part.hour, names, part.isFinal));
  for (const contract of contracts.filter(({ eventName }) => todo.has(eventName))) await evaluate(deps, part, contract);
  const done = part.done + contracts.length;
  if (contracts.length > 0 && left > 0 && done < HEALTH.events) return { ...part, after: names.at(-1)!, done };
  if (part.isFinal) await health.finish(part.hour, left);
  return null;
}

async function evaluate(
  { ask, health }: ContractHealthDeps,
  { hour, isFinal }: HealthPart,
  { eventName, document }: WatchedContract,
): Promise<void> {
  const contract = parseContract(JSON.parse(document));
  if (!contract.ok) throw new Error(`a stored contract is none any more: ${contract.error.path}`);
  const { expectations, version } = contract.value;
  const fields = coveredFields(contract.value).slice(0, HEALTH.fields);
  const { sources, unread } = await readHour(ask, eventName, fields, hour);
  // Of too many sources those are told of that send the most.
  const told = sources.toSorted((a, b) => cameOf(b) - cameOf(a)).slice(0, HEALTH.sources);
  const left = sources.length - told.length;
  const report: HourReport = { eventName, hour, version, fields, sources: told, left, unread };
  await health.getByName(CONTRACT_HEALTH_NAME).report(report, isFinal ? expectations : null);
}

/** Where all of it is too much to read, counts alone are read. */
async function readHour(
  ask: AskSql,
  eventName: string,
  fields: readonly string[],
  hour: number,
): Promise<{ sources: readonly SourceHour[]; unread: string | null }> {
  const range = { from: hour, to: hour + HOUR_MS };
  let unread: string | null = null;
  for (const wanted of [fields, null]) {
    try {
      return { sources: (await readHours(ask, eventName, wanted, range)).get(hour) ?? [], unread };
    } catch (error) {
      if (!(error instanceof SqlRefused)) throw error;
      unread = error.message;
    }
  }
  return { sources: [], unread };
}
