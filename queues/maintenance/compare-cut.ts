/**
 * A day's counts in a cut against those of the rollups, which came another way: a different sink, another cursor, no file.
 * They count one another's errors, so the comparison is recorded and neither is changed by it. Rollups go on after the
 * cut was frozen; by how much each shard was beyond says what late events may explain.
 */
import type { CutComparison, CutWork } from "../../durable-objects/lake-catalog/cuts-api.ts";
import type { Dimension, RollupQuery } from "../../durable-objects/minute-rollup/api.ts";
import { mergeParts } from "../../durable-objects/minute-rollup/merge.ts";
import { type DayTally, OTHER_VALUES } from "../../r2-layout/day-tally.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { CUT } from "../../r2-layout/limits.ts";
import { MICROS_PER_MS } from "../../r2-layout/time.ts";
import { eachShard } from "../replay/each-shard.ts";
import type { HistoryDeps } from "./freeze-cut.ts";

/** @returns null where the rollups have not come as far as the cut, and are to be asked later. */
export async function compareWithRollups(
  { rollups, shards }: Pick<HistoryDeps, "rollups" | "shards">,
  { cut, tally, note }: Extract<CutWork, { kind: "compare" }>,
  nowMs: number,
): Promise<CutComparison | null> {
  const rollup = (shard: number) => rollups.getByName(`core:${shardName(shard)}`);
  const reached = await eachShard(shards, async (shard) => (await rollup(shard).status()).lastSeq);
  const beyond = Object.fromEntries(reached.map((seq, shard) => [shard, seq - (cut.cursors[shard] ?? 0)]));
  const behind = Object.values(beyond).some((segments) => segments < 0);
  if (behind && cut.attempts < CUT.compareAttempts) return null;

  const counts = async (by?: Dimension): Promise<Map<string, number>> => {
    const [from, to] = [cut.from / MICROS_PER_MS, cut.through / MICROS_PER_MS];
    const query: RollupQuery = { metric: "events", grain: "day", from, to, ...(by && { by }) };
    const points = mergeParts(query, await eachShard(shards, (shard) => rollup(shard).query(query)));
    return new Map(points.map(({ key, value }) => [by ? key[by]! : "", value]));
  };
  const [total, names, countries] = [await counts(), await counts("event_name"), await counts("country")];
  const events = { cut: tally?.events.rows ?? 0, rollups: total.get("") ?? 0 };
  if (!tally)
    return { at: nowMs, agrees: false, note: note ?? "no tally", events, event_name: [], country: [], beyond };
  const event_name = differing(tally.event_name, names);
  const country = differing(tally.country, countries);
  return {
    at: nowMs,
    agrees: events.cut === events.rollups && event_name.length === 0 && country.length === 0,
    ...(behind && { note: "the rollups had not come so far" }),
    events,
    event_name: event_name.slice(0, CUT.differences),
    country: country.slice(0, CUT.differences),
    beyond,
  };
}

/** What only one side tells apart is part of the other's `(other)`: then both sides' rest is compared as one. */
function differing(tallied: DayTally["event_name"], counted: ReadonlyMap<string, number>) {
  const cut = new Map(tallied.map(({ value, rows }) => [value, rows]));
  const folds = cut.has(OTHER_VALUES) || counted.has(OTHER_VALUES);
  const named = (value: string) => !folds || (value !== OTHER_VALUES && cut.has(value) && counted.has(value));
  const sums = new Map<string, { cut: number; rollups: number }>();
  for (const value of new Set([...cut.keys(), ...counted.keys()])) {
    const key = named(value) ? value : OTHER_VALUES;
    const sum = sums.get(key) ?? { cut: 0, rollups: 0 };
    sums.set(key, { cut: sum.cut + (cut.get(value) ?? 0), rollups: sum.rollups + (counted.get(value) ?? 0) });
  }
  return [...sums]
    .map(([value, sum]) => ({ value, ...sum }))
    .filter(({ cut, rollups }) => cut !== rollups)
    .sort((a, b) => Math.abs(b.cut - b.rollups) - Math.abs(a.cut - a.rollups) || (a.value < b.value ? -1 : 1));
}
