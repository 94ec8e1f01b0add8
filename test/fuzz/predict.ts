/**
 * What the edge must answer to a fuzzed request, and what of it must be stored: by the same parser, run here. What HTTP,
 * the runtime, the queue, the log and the lake make of it is then seen by comparing.
 */
import { INGEST } from "../../r2-layout/limits.ts";
import { inflate } from "../../workers/edge/body.ts";
import { parseEvents, readBody } from "../../workers/edge/parse-events.ts";
import { requestFacts } from "../../workers/edge/request-facts.ts";
import { problem } from "../../workers/problem.ts";
import type { FuzzRequest } from "./requests.ts";

export interface Prediction {
  readonly status: number;
  /** Ids by the table that they must be in. Minted at random: the count alone is known. */
  readonly events: readonly string[];
  readonly quarantine: readonly string[];
  readonly random: { readonly events: number; readonly quarantine: number };
  readonly accepted: number;
  readonly dropped: number;
}

const NOTHING = { events: [], quarantine: [], random: { events: 0, quarantine: 0 }, accepted: 0, dropped: 0 };
const RANDOM = "?".repeat(32);

/** @param source the name of the write key's source. */
export function predict({ call, body, headers }: FuzzRequest, source: string): Prediction {
  if (body.length > INGEST.bodyBytes) return { ...NOTHING, status: 413 };
  const inflated = inflate(body, INGEST.inflatedBytes);
  const read = inflated.ok ? readBody(inflated.value, call) : inflated;
  if (!read.ok) return { ...NOTHING, status: problem(read.error).status };
  const given = new Headers(headers);
  const facts = requestFacts({ headers: given } as Request, {
    source,
    call,
    receivedAt: Date.now() * 1_000,
    local: true,
  });
  const { kept, dropped } = parseEvents(
    read.value,
    facts,
    () => 0,
    () => RANDOM,
  );
  const ids = (quarantined: boolean) =>
    kept.flatMap(({ event_id, quarantine }) => ((quarantine !== undefined) === quarantined ? [event_id] : []));
  const known = (list: readonly string[]) => list.filter((id) => id !== `minted-${RANDOM}`);
  const [events, quarantine] = [ids(false), ids(true)];
  const isSingle = call !== "batch" && call !== "events";
  return {
    status: isSingle && dropped.length > 0 ? 422 : 200,
    events: known(events),
    quarantine: known(quarantine),
    random: { events: events.length - known(events).length, quarantine: quarantine.length - known(quarantine).length },
    accepted: kept.length,
    dropped: dropped.length,
  };
}
