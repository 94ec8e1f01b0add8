/**
 * Which ids the log owns: those committed within the dedup window, exactly. Three ages of the same thing:
 *
 *     recent commits   a row each, all ids in one set in memory; after an hour, or when there are many, they become
 *     runs of an hour  sorted, with filters; when the hour is over its runs merge to one
 *     runs of a day    when the day is over its runs merge to one; dropped whole when its newest id has left the window
 *
 * So an id is owned for the window at least, and for a day more at most. Everything in memory is a cache of the rows.
 */
import { DAY_MS, HOUR_MS, LOG, MINUTE_MS } from "../../r2-layout/limits.ts";
import type { IdRun } from "./id-runs.ts";
import { IdRuns } from "./id-runs.ts";
import { IdSet } from "./id-set.ts";
import { compareIds, ID_WORDS, sortIds, toBytes, toWords } from "./packed-ids.ts";

/** Recent ids before they become a run: 3 MB of set, and what a cold start has to read. */
const RECENT_IDS = 131_072;
/** Recent commits before they become a run: rows that a cold start has to read. */
const RECENT_COMMITS = 4_096;
/** Runs within an hour before they merge early: each costs every look-up a filter. */
const RUNS_PER_HOUR = 16;
/** A bucket's runs merge this long after its end: by then its last recent commits are a run. */
const SETTLE_MS = HOUR_MS + 10 * MINUTE_MS;
/** The set of recent ids, grown once beyond its threshold: 24 bytes for each place. */
const SET_BYTES = 2 * RECENT_IDS * 24;

type RecentRow = { nr: number; at: number; ids: ArrayBuffer };

export type Maintenance =
  | { readonly kind: "drop_step" }
  | { readonly kind: "merge_step" }
  | { readonly kind: "flush" }
  | { readonly kind: "expire"; readonly runs: readonly number[] }
  | { readonly kind: "merge"; readonly runs: readonly IdRun[] };

export class DedupWindow {
  readonly #sql: SqlStorage;
  readonly #runs: IdRuns;
  readonly #windowMs: number;
  #recent: { ids: IdSet; commits: number; oldestAt: number } | null = null;

  /** @param windowMs how long an id is owned at least. */
  constructor(sql: SqlStorage, windowMs: number = LOG.dedupWindowMs) {
    this.#sql = sql;
    this.#windowMs = windowMs;
    sql.exec(`CREATE TABLE IF NOT EXISTS recent (
      nr INTEGER PRIMARY KEY, at INTEGER NOT NULL, ids BLOB NOT NULL, note TEXT NOT NULL)`);
    this.#runs = new IdRuns(sql, LOG.idMemoryBytes - SET_BYTES);
  }

  /** Ids in the window, and bytes of memory that their sets and filters take. */
  get size(): { ids: number; bytes: number } {
    const { ids } = this.#read();
    return { ids: ids.size + this.#runs.idCount, bytes: ids.bytes + this.#runs.bytes };
  }

  /** One byte for each id: 1 where it is owned. */
  owned(packed: Uint8Array): Uint8Array {
    const words = toWords(packed);
    const { ids } = this.#read();
    const owned = new Uint8Array(words.length / ID_WORDS);
    for (let i = 0; i < owned.length; i++) if (ids.has(words, i)) owned[i] = 1;
    this.#runs.mark(words, owned);
    return owned;
  }

  /**
   * Takes ids that nobody owns, in one row, with a note of the caller that lives as long as the row does: until the next
   * flush. To be called in a transaction, and `forget` if that is rolled back.
   */
  insert(packed: Uint8Array, atMs: number, note: string): void {
    const recent = this.#read();
    this.#sql.exec("INSERT INTO recent (at, ids, note) VALUES (?, ?, ?)", atMs, packed, note);
    if (recent.commits++ === 0) recent.oldestAt = atMs;
    const words = toWords(packed);
    for (let i = 0; i < words.length / ID_WORDS; i++) recent.ids.add(words, i);
  }

  /** Notes of the recent commits, oldest first, and when they were committed (ms). */
  notes(): { at: number; note: string }[] {
    return this.#sql.exec<{ at: number; note: string }>("SELECT at, note FROM recent ORDER BY nr").toArray();
  }

  /**
   * A page of the ids of a day, as `EventLogAuditApi.idsOf` has it. Ids are uniform, so a page is those whose first words
   * lie in a slice of all; the next begins after the greatest id that could be in it.
   */
  idsOf(dayStartMs: number, after: Uint8Array | null): { ids: Uint8Array; next: Uint8Array | null } {
    const dayEndMs = dayStartMs + DAY_MS;
    const inDay = this.#runs.runs().filter(({ fromAt, toAt }) => fromAt < dayEndMs && toAt >= dayStartMs);
    const total = inDay.reduce((sum, { ids }) => sum + ids, this.#read().ids.size);
    const slice = Math.ceil(2 ** 32 / Math.max(1, Math.ceil(total / LOG.idsPerAudit)));
    const last = after && toWords(after);
    const wholeWord = last?.subarray(1).every((word) => word === 2 ** 32 - 1) === true;
    const from = last === null ? 0 : last[0]! + (wholeWord ? 1 : 0);
    const to = Math.min(2 ** 32, (Math.floor(from / slice) + 1) * slice);
    const parts = this.#runs.idsAround(dayStartMs, dayEndMs, from, to);
    const rows = this.#sql.exec<{ ids: ArrayBuffer }>(
      "SELECT ids FROM recent WHERE at >= ? AND at < ?",
      dayStartMs,
      dayEndMs,
    );
    for (const row of rows) parts.push(wordsWithin(toWords(new Uint8Array(row.ids)), from, to));
    const ids = sortIds(joinWords(parts));
    const skipped = last && !wholeWord ? countUpTo(ids, last) : 0;
    const max = 2 ** 32 - 1;
    return {
      ids: toBytes(ids.subarray(skipped * ID_WORDS)),
      next: to === 2 ** 32 ? null : toBytes(Uint32Array.of(to - 1, max, max, max)),
    };
  }

  /** When each id was taken: of a recent one exactly, else when the oldest of its run was; 0 where it is not owned. */
  ownedAt(packed: Uint8Array): Float64Array {
    const words = toWords(packed);
    const at = new Float64Array(words.length / ID_WORDS);
    const recent = new Map<string, number[]>();
    const asked = new IdSet();
    const owned = new Uint8Array(at.length);
    for (let i = 0; i < at.length; i++) {
      if (!this.#read().ids.has(words, i)) continue;
      owned[i] = 1;
      asked.add(words, i);
      const places = recent.get(keyOf(words, i));
      if (places) places.push(i);
      else recent.set(keyOf(words, i), [i]);
    }
    if (recent.size > 0) {
      for (const row of this.#sql.exec<RecentRow>("SELECT nr, at, ids FROM recent")) {
        const taken = toWords(new Uint8Array(row.ids));
        for (let i = 0; i < taken.length / ID_WORDS; i++) {
          if (!asked.has(taken, i)) continue;
          for (const place of recent.get(keyOf(taken, i))!) at[place] = row.at;
        }
      }
    }
    this.#runs.mark(words, owned, (i, { fromAt }) => {
      at[i] = fromAt;
    });
    return at;
  }

  /** Reads everything again: after a transaction that was rolled back. */
  forget(): void {
    this.#recent = null;
    this.#runs.forget();
  }

  /** The next thing to do for the window at this time, or null. Each is one short transaction. */
  due(nowMs: number): Maintenance | null {
    const recent = this.#read();
    const full = recent.ids.size >= RECENT_IDS || recent.commits >= RECENT_COMMITS;
    if (recent.commits > 0 && (full || recent.oldestAt + HOUR_MS <= nowMs)) return { kind: "flush" };
    if (this.#runs.merging) return { kind: "merge_step" };
    if (this.#runs.dropping) return { kind: "drop_step" };
    const runs = this.#runs.runs();
    const expired = runs.filter(({ toAt }) => toAt + this.#windowMs <= nowMs);
    if (expired.length > 0) return { kind: "expire", runs: expired.map(({ run }) => run) };
    const merge = planMerge(runs, nowMs);
    return merge && { kind: "merge", runs: merge };
  }

  /** Does what `due` said. To be called in a transaction. */
  maintain(work: Maintenance): void {
    if (work.kind === "flush") this.#flush();
    else if (work.kind === "merge") this.#runs.startMerge(work.runs);
    else if (work.kind === "merge_step") this.#runs.mergeStep();
    else if (work.kind === "expire") this.#runs.drop(work.runs);
    else this.#runs.dropStep();
  }

  #flush(): void {
    const { ids, oldestAt } = this.#read();
    const newest = this.#sql.exec<{ at: number }>("SELECT max(at) AS at FROM recent").one().at;
    this.#runs.add(ids.words(), oldestAt, newest);
    this.#sql.exec("DELETE FROM recent");
    this.#recent = null;
  }

  #read() {
    if (this.#recent) return this.#recent;
    const recent = { ids: new IdSet(), commits: 0, oldestAt: 0 };
    for (const row of this.#sql.exec<RecentRow>("SELECT nr, at, ids FROM recent ORDER BY nr")) {
      if (recent.commits++ === 0) recent.oldestAt = row.at;
      const words = toWords(new Uint8Array(row.ids));
      for (let i = 0; i < words.length / ID_WORDS; i++) recent.ids.add(words, i);
    }
    this.#recent = recent;
    return recent;
  }
}

/**
 * Runs to merge into one: all of a day that is over, else all of an hour that is over or has many. A run counts to the
 * hour and day of its oldest id. @param runs any order. @returns null where nothing needs merging.
 */
export function planMerge(runs: readonly IdRun[], nowMs: number): IdRun[] | null {
  for (const [lengthMs, early] of [
    [DAY_MS, Number.POSITIVE_INFINITY],
    [HOUR_MS, RUNS_PER_HOUR],
  ] as const) {
    const buckets = Map.groupBy(runs, ({ fromAt }) => Math.floor(fromAt / lengthMs));
    for (const [bucket, inside] of buckets) {
      const over = (bucket + 1) * lengthMs + SETTLE_MS <= nowMs;
      if (inside.length > 1 && (over || inside.length >= early)) return inside;
    }
  }
  return null;
}

const keyOf = (words: Uint32Array, i: number): string => words.subarray(i * ID_WORDS, (i + 1) * ID_WORDS).join();

/** Ids, in their order, whose first word lies in from..to (inclusive, exclusive). */
function wordsWithin(words: Uint32Array, from: number, to: number): Uint32Array {
  const within = new Uint32Array(words.length);
  let length = 0;
  for (let i = 0; i < words.length; i += ID_WORDS) {
    if (words[i]! < from || words[i]! >= to) continue;
    within.set(words.subarray(i, i + ID_WORDS), length);
    length += ID_WORDS;
  }
  return within.subarray(0, length);
}

function joinWords(parts: readonly Uint32Array[]): Uint32Array {
  const joined = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** How many of the sorted ids are not above this one. */
function countUpTo(sorted: Uint32Array, id: Uint32Array): number {
  let count = 0;
  while (count < sorted.length / ID_WORDS && compareIds(sorted, count, id, 0) <= 0) count++;
  return count;
}

/** Milliseconds. @throws RangeError where DEDUP_WINDOW_DAYS is no whole number of days within its bounds. */
export function dedupWindowMs({ DEDUP_WINDOW_DAYS: text }: { readonly DEDUP_WINDOW_DAYS?: string }): number {
  if (text === undefined) return LOG.dedupWindowMs;
  const days = Number(text);
  if (!Number.isInteger(days) || days < LOG.dedupWindowDaysMin || days > LOG.dedupWindowDaysMax) {
    throw new RangeError(
      `DEDUP_WINDOW_DAYS is ${text}, not ${LOG.dedupWindowDaysMin} to ${LOG.dedupWindowDaysMax} whole days`,
    );
  }
  return days * DAY_MS;
}
