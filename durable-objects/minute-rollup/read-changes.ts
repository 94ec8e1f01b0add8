/** The whole answer of `GET /v1/rollups/changes`: what changed in final minutes, of all shards, newest first. */
import { shardName } from "../../r2-layout/keys.ts";
import { INGEST, ROLLUP } from "../../r2-layout/limits.ts";
import { err, ok, type Result } from "../../r2-layout/result.ts";
import type { ObjectNamespace } from "../namespace.ts";
import { ALL_TIME, type MinuteChange, type MinuteRebuildApi, type PlacedChange } from "./api.ts";
import { toUnits } from "./merge.ts";
import { bad, type RollupsProblem, timeParameter } from "./read.ts";

/** As it leaves: snake_case, times in ISO 8601 (UTC), money in units of its currency. */
export interface ChangeJson extends Omit<MinuteChange, "minute" | "at" | "revenue"> {
  readonly minute: string;
  readonly at: string;
  readonly revenue: Readonly<Record<string, number>>;
  readonly shard: number;
}

export interface ChangesAnswer {
  readonly changes: readonly ChangeJson[];
  /** To be passed back as `cursor`; null where there is no more. */
  readonly next: string | null;
}

/** The last change of a page. All are in one order: by `at` downwards, then by shard, then by id downwards. */
interface Cursor {
  readonly at: number;
  readonly shard: number;
  readonly id: number;
}

/** Parameters: from, to (of the minutes; default: all), limit, cursor. */
export async function readChanges(
  rollups: ObjectNamespace<Pick<MinuteRebuildApi, "changes">>,
  shards: number,
  params: URLSearchParams,
): Promise<Result<ChangesAnswer, RollupsProblem>> {
  const from = timeParameter(params, "from", ALL_TIME.from);
  if (!from.ok) return from;
  const to = timeParameter(params, "to", ALL_TIME.to);
  if (!to.ok) return to;
  if (from.value >= to.value) return bad("from", "from must be before to");
  const limit = Number(params.get("limit") || ROLLUP.changesLimitDefault);
  if (!Number.isInteger(limit) || limit < 1 || limit > ROLLUP.changesLimitMax) {
    return bad("limit", `a whole number from 1 to ${ROLLUP.changesLimitMax}`);
  }
  const cursor = parseCursor(params.get("cursor") ?? "");
  if (cursor === "bad") return bad("cursor", "what `next` of an answer said");
  let found: Placed[];
  try {
    // One more than is shown: whether there is another page.
    const ask = async (shard: number): Promise<Placed[]> => {
      const rollup = rollups.getByName(`core:${shardName(shard)}`);
      const before = cursor && { at: cursor.at, id: idBefore(cursor, shard) };
      const changes = await rollup.changes(from.value, to.value, limit + 1, before ?? undefined);
      return changes.map((change) => ({ ...change, shard }));
    };
    found = (await Promise.all(Array.from({ length: shards }, (_, shard) => ask(shard)))).flat();
  } catch (error) {
    console.error(JSON.stringify({ at: "read_changes", error: String(error) }));
    return err({ reason: "upstream_unavailable", retry_after_s: INGEST.retryAfterSeconds });
  }
  found.sort((one, other) => other.at - one.at || one.shard - other.shard || other.id - one.id);
  const page = found.slice(0, limit);
  return ok({ changes: page.map(changeJson), next: found.length > limit ? formatCursor(page.at(-1)!) : null });
}

type Placed = PlacedChange & { readonly shard: number };

/** Of the changes with the cursor's time: earlier shards were shown whole, later ones not at all. */
function idBefore({ shard: last, id }: Cursor, shard: number): number {
  if (shard === last) return id;
  return shard < last ? 0 : Number.MAX_SAFE_INTEGER;
}

const formatCursor = ({ at, shard, id }: Cursor): string => `${at}.${shard}.${id}`;

function parseCursor(text: string): Cursor | null | "bad" {
  if (text === "") return null;
  const match = /^(\d{1,16})\.(\d{1,6})\.(\d{1,16})$/.exec(text);
  return match ? { at: Number(match[1]), shard: Number(match[2]), id: Number(match[3]) } : "bad";
}

const changeJson = ({ minute, at, version, reason, job, events, revenue, grain, shard }: Placed): ChangeJson => ({
  minute: new Date(minute).toISOString(),
  grain,
  at: new Date(at).toISOString(),
  version,
  reason,
  job,
  events,
  revenue: Object.fromEntries(revenue.map(([currency, micro]) => [currency, toUnits(micro)])),
  shard,
});
