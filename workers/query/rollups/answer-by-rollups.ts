/**
 * A statement that the rollups can answer exactly is answered there: with the counts that the lake has at its newest snapshot, or
 * not at all. First the catalog says where that snapshot ends in each shard, and what rules it has passed; then each shard's
 * MinuteRollup counts up to there, or says that it cannot tell (tally-api.ts). The lake is in doubt itself where
 *
 *     a rule is in force that its files have not passed     its job has yet to change them, and then the rollups
 *     its sink left a segment out                           the rollups may have it
 *     a rebuild made it more or fewer rows                  then the two did not hold the same
 *     rows of the range have expired                        the rollups keep hours and days for good
 *
 * Whatever comes between the two questions shows in the second: a segment by its seq, a rule by its version, which an object
 * learns before anything of the lake is changed for it.
 */
import type { LakePlaceApi } from "../../../durable-objects/lake-catalog/place-api.ts";
import type { RollupTallyApi, TallyCount, TallyRequest } from "../../../durable-objects/minute-rollup/tally-api.ts";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import { shardName } from "../../../r2-layout/keys.ts";
import { PRICES } from "../../../r2-layout/prices.ts";
import { MICROS_PER_MS } from "../../../r2-layout/time.ts";
import { ArrowRows } from "../distributed/arrow-rows.ts";
import type { StatementStats } from "../engine/statement.ts";
import { dollarsOf } from "../estimate/dollars.ts";
import type { ParseSql } from "../plan/plan-statement.ts";
import { StatementFailed } from "../problem.ts";
import { closing, ResultEncoder } from "../results/encode.ts";
import { NOTHING_READ } from "../results/nothing-read.ts";
import { answerOf } from "../results/whole-result.ts";
import type { SqlRequest } from "../sql-request.ts";
import { bucketOf, type RollupQuestion } from "./question.ts";
import { readQuestion } from "./read-question.ts";
import { keysAsked, resultColumns, resultRows } from "./result-rows.ts";
import { rowRanges } from "./row-ranges.ts";

export interface RollupStores {
  readonly catalog: LakePlaceApi;
  readonly rollups: ObjectNamespace<RollupTallyApi>;
}

/** Asks the rollups; null where the answer is the engine's to give. */
export type AskRollups = (startedAt: number) => Promise<Response | null>;

/** @param sql as planned. @returns null at once for a statement of another form. */
export function byRollups(
  { parse, rollups }: { readonly parse: ParseSql; readonly rollups?: RollupStores | null | undefined },
  question: SqlRequest,
  sql: string,
): AskRollups | null {
  if (!rollups || question.route || question.as_of || question.format === "parquet") return null;
  // Spares most statements a second reading.
  if (!/\b(count|distinct|group)\b/i.test(sql)) return null;
  const asked = readQuestion(parse(sql));
  return asked && ((startedAt) => answered(rollups, { ...question, sql }, asked, startedAt));
}

async function answered(
  stores: RollupStores,
  question: SqlRequest,
  asked: RollupQuestion,
  startedAt: number,
): Promise<Response | null> {
  try {
    const known = await countsOf(stores, asked);
    if (!known) return null;
    return question.explain ? explained(question, known, startedAt) : encoded(question, asked, known, startedAt);
  } catch (error) {
    // Too large a result among them: the engine says how it may be had.
    if (!(error instanceof StatementFailed)) console.error("rollups failed", error);
    return null;
  }
}

interface KnownCounts {
  readonly snapshot: number;
  /** Objects that were asked. */
  readonly shards: number;
  readonly counts: readonly TallyCount[];
}

async function countsOf({ catalog, rollups }: RollupStores, asked: RollupQuestion): Promise<KnownCounts | null> {
  const place = await catalog.place();
  const [from, to] = [asked.from ?? Number.NEGATIVE_INFINITY, asked.to ?? Number.POSITIVE_INFINITY];
  const hasExpired = place.expired.some(
    ({ minTime, maxTime }) => minTime < to * MICROS_PER_MS && maxTime >= from * MICROS_PER_MS,
  );
  if (!place.whole || hasExpired || asked.aliases.some((alias) => place.columns.includes(alias))) return null;
  const bucket = bucketOf(asked);
  const keys = keysAsked(asked);
  const request: Omit<TallyRequest, "seq"> = {
    ranges: rowRanges(asked, bucket),
    bucket,
    rules: place.rules,
    ...(asked.dimension && { by: asked.dimension }),
    ...(keys && { only: keys }),
  };
  const tallies = await Promise.all(
    place.cursors.map(([shard, seq]) => rollups.getByName(`core:${shardName(shard)}`).tally({ ...request, seq })),
  );
  const counts: TallyCount[] = [];
  for (const tally of tallies) {
    if (!tally.exact) return null;
    for (const count of tally.counts) counts.push(count);
  }
  return { snapshot: place.snapshot, shards: tallies.length, counts };
}

function encoded(
  { format, limit }: SqlRequest,
  asked: RollupQuestion,
  known: KnownCounts,
  startedAt: number,
): Response {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  const encoder = new ResultEncoder(format, (piece) => void pieces.push(piece), format === "arrow" ? undefined : limit);
  const arrow = new ArrowRows(resultColumns(asked));
  encoder.add(arrow.schemaMessage);
  const rows = resultRows(asked, known.counts);
  if (rows.length > 0) encoder.add(arrow.batchMessage(rows));
  const figures = { rows: encoder.rows, ...(encoder.truncated && { truncated: true as const }) };
  const stats = { ...statsOf(known, startedAt), ...figures };
  return answerOf(format, new Blob([...pieces, closing(format, stats)]), stats);
}

/** As an engine explains (estimate/explain.ts): what it would read is nothing. */
function explained({ sql }: SqlRequest, known: KnownCounts, startedAt: number): Response {
  const stats = statsOf(known, startedAt);
  const { route, files, bytes_read: bytes, requests, dollars } = stats;
  const pruned = { table_files: 0, by_time: 0, by_name: 0, by_bounds: 0, by_filter: 0 };
  const body = { sql, route, files, row_groups: 0, bytes, requests, dollars, pruned, scan_bytes: 0, tables: [], stats };
  return answerOf("json", JSON.stringify(body), stats);
}

const statsOf = ({ snapshot, shards }: KnownCounts, startedAt: number): StatementStats => ({
  ...NOTHING_READ,
  route: "rollups",
  rows: 0,
  elapsed_ms: Date.now() - startedAt,
  snapshot,
  dollars: dollarsOf({ requests: 0, engineMs: 0 }) + shards * PRICES.objectRequest,
});
