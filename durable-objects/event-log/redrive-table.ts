/**
 * Redrives: lines that come into the log once more, and which lines they stand for. A redrive for one sink's hole concerns
 * that sink alone, so all counts are kept by sink:
 *
 *     met(cursor)       lines of messages at or below it + lines of the sink's redrives at or below it
 *     still to apply    lines of messages past the cursor + redrives past it - lines past it that are redriven (`skip`)
 *     holes             what the sink left out - lines at or below the cursor that are redriven
 *
 * Example, one sink; segment 5 has 100 lines, its line 7 cannot be read, redrive 9 brings it:
 *
 *                                       applied  left out  met   redriven  holes  still to apply
 *     cursor 5                               99         1  100          0      1               0
 *     redrive 9 is committed                 99         1  100          1      0               1
 *     cursor 9                              100         1  101          1      0               0
 *     rebuilt, cursor 5: line 7 skipped      99         1  100          1      0               1
 *
 * In each row applied + left out = met, and applied + holes + still to apply = 100. Totals are rows, so that only what lies
 * past a cursor is looked at.
 *
 * A release is a redrive for all sinks of lines that were quarantined and are events now. The lines that it stands for are
 * left out nowhere: in `quarantine` they are the record of what happened, also of a lake that is built anew.
 */
import type { SinkName } from "../../r2-layout/sinks.ts";
import { SINKS } from "../../r2-layout/sinks.ts";
import type { RedriveOrigin } from "./api.ts";
import type { LineCounts } from "./segment-table.ts";

/** Lines redriven from one segment, with their counts there. */
export interface CountedOrigin {
  readonly seq: number;
  readonly lines: readonly number[] | "all";
  readonly counts: LineCounts;
}

/** One sink's redrives around a cursor. */
export interface RedriveAccount {
  /** Lines of redrives at or below the cursor, and past it. */
  readonly met: LineCounts;
  readonly past: LineCounts;
  /** Lines that they stand for, where those lie. */
  readonly originsMet: LineCounts;
  readonly originsPast: LineCounts;
}

type SumRow = { sink: string } & Record<"events" | "quarantined" | "origin_events" | "origin_quarantined", number>;
type LinesRow = { origin: number; lines: string; sinks: string; events: number; quarantined: number };

/** All sinks, whichever there will be. */
const ALL = "*";
const NONE: LineCounts = { events: 0, quarantined: 0 };

export class RedriveTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`CREATE TABLE IF NOT EXISTS redrives (
      seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, sinks TEXT NOT NULL,
      events INTEGER NOT NULL, quarantined INTEGER NOT NULL)`);
    sql.exec(`CREATE TABLE IF NOT EXISTS redriven (
      origin INTEGER NOT NULL, seq INTEGER NOT NULL, lines TEXT NOT NULL, sinks TEXT NOT NULL,
      events INTEGER NOT NULL, quarantined INTEGER NOT NULL, PRIMARY KEY (origin, seq)) WITHOUT ROWID`);
    sql.exec(`CREATE TABLE IF NOT EXISTS redrive_sums (
      sink TEXT PRIMARY KEY, events INTEGER NOT NULL, quarantined INTEGER NOT NULL,
      origin_events INTEGER NOT NULL, origin_quarantined INTEGER NOT NULL) WITHOUT ROWID`);
  }

  seqOf(id: string): number | null {
    return this.#sql.exec<{ seq: number }>("SELECT seq FROM redrives WHERE id = ?", id).toArray()[0]?.seq ?? null;
  }

  /** Lines of a segment that were redriven for one of these sinks; null where there are none. */
  linesOf(origin: number, sinks: readonly SinkName[]): readonly number[] | "all" | null {
    const rows = this.#sql.exec<LinesRow>("SELECT * FROM redriven WHERE origin = ?", origin);
    const forAll = sinksText(sinks) === ALL;
    // What was released still stands in its place: one sink may have left it out there, and get it again.
    const meant = (row: LinesRow) => (forAll || !isRelease(row)) && sinks.some((sink) => isFor(row.sinks, sink));
    return joined(Array.from(rows).filter(meant));
  }

  /** To be called in a transaction. @param lines of the redrive itself. */
  insert(
    seq: number,
    id: string,
    sinks: readonly SinkName[],
    lines: LineCounts,
    origins: readonly CountedOrigin[],
  ): void {
    const named = sinksText(sinks);
    this.#sql.exec("INSERT INTO redrives VALUES (?, ?, ?, ?, ?)", seq, id, named, lines.events, lines.quarantined);
    for (const { seq: origin, lines: given, counts } of origins) {
      this.#sql.exec(
        "INSERT INTO redriven VALUES (?, ?, ?, ?, ?, ?)",
        origin,
        seq,
        JSON.stringify(given),
        named,
        counts.events,
        counts.quarantined,
      );
    }
    const stoodFor = origins.reduce((sum, { counts }) => plus(sum, counts), NONE);
    for (const sink of named === ALL ? [ALL, ...SINKS] : sinks) {
      this.#sql.exec(
        `INSERT INTO redrive_sums VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (sink) DO UPDATE SET events = events + ?2,
           quarantined = quarantined + ?3, origin_events = origin_events + ?4, origin_quarantined = origin_quarantined + ?5`,
        sink,
        lines.events,
        lines.quarantined,
        stoodFor.events,
        stoodFor.quarantined,
      );
    }
  }

  /** Segments that a redrive's lines stood in before, the last one first: a redrive may have become a hole itself. */
  originsOf(seq: number): number[] {
    const rows = this.#sql.exec<{ origin: number }>(
      `WITH RECURSIVE before (origin) AS (SELECT origin FROM redriven WHERE seq = ?1
         UNION SELECT redriven.origin FROM redriven JOIN before ON redriven.seq = before.origin)
       SELECT origin FROM before ORDER BY origin DESC`,
      seq,
    );
    return Array.from(rows, ({ origin }) => origin);
  }

  /** Lines of segments from..to (both inclusive) that this sink gets, or got, from a redrive instead. */
  skips(from: number, to: number, sink: SinkName): Map<number, readonly number[] | "all"> {
    return this.#lines(from, to, (row) => isFor(row.sinks, sink) && !isRelease(row));
  }

  /** Quarantined lines of segments from..to (both inclusive) that are events now. */
  releases(from: number, to: number): Map<number, readonly number[] | "all"> {
    return this.#lines(from, to, isRelease);
  }

  #lines(from: number, to: number, which: (row: LinesRow) => boolean): Map<number, readonly number[] | "all"> {
    const rows = this.#sql.exec<LinesRow>("SELECT * FROM redriven WHERE origin >= ? AND origin <= ?", from, to);
    const own = Array.from(rows).filter(which);
    const lines = new Map<number, readonly number[] | "all">();
    for (const [origin, some] of Map.groupBy(own, (row) => row.origin)) lines.set(origin, joined(some)!);
    return lines;
  }

  account(sink: SinkName, cursor: number): RedriveAccount {
    const total = this.#sums(sink);
    const past = this.#sumPast("redrives", "seq", sink, cursor);
    const originsPast = this.#sumPast("redriven", "origin", sink, cursor, `AND NOT ${RELEASE}`);
    return {
      met: minus(total.lines, past),
      past,
      originsMet: minus(total.origins, originsPast),
      originsPast,
    };
  }

  /** Quarantined lines that are events now. */
  get released(): number {
    const { lines, origins } = this.#sums(ALL);
    return lines.events - origins.events;
  }

  /** Forgets redrives whose segments are gone: what they stood for is gone even longer. */
  trim(before: number): void {
    this.#sql.exec("DELETE FROM redriven WHERE seq < ?", before);
    this.#sql.exec("DELETE FROM redrives WHERE seq < ?", before);
  }

  #sums(sink: string): { lines: LineCounts; origins: LineCounts } {
    const row = this.#sql.exec<SumRow>("SELECT * FROM redrive_sums WHERE sink = ?", sink).toArray()[0];
    if (!row) return { lines: NONE, origins: NONE };
    return {
      lines: { events: row.events, quarantined: row.quarantined },
      origins: { events: row.origin_events, quarantined: row.origin_quarantined },
    };
  }

  #sumPast(
    table: "redrives" | "redriven",
    place: "seq" | "origin",
    sink: SinkName,
    cursor: number,
    less = "",
  ): LineCounts {
    return this.#sql
      .exec<{ events: number; quarantined: number }>(
        `SELECT coalesce(sum(events), 0) AS events, coalesce(sum(quarantined), 0) AS quarantined FROM ${table}
           WHERE ${place} > ? AND (sinks = ? OR instr(sinks, ?) > 0) ${less}`,
        cursor,
        ALL,
        sink,
      )
      .one();
  }
}

export const sinksText = (sinks: readonly SinkName[]): string =>
  SINKS.every((sink) => sinks.includes(sink)) ? ALL : sinks.join(",");

/** Undefined for all of them. */
export const sinksOf = (text: string): readonly SinkName[] | undefined =>
  text === ALL ? undefined : (text.split(",") as SinkName[]);

/** Of `redriven`: for all sinks, and of lines that were all quarantined. A hole's redrive is for its sink. */
const isRelease = ({ sinks, events }: LinesRow): boolean => sinks === ALL && events === 0;
const RELEASE = "(sinks = '*' AND events = 0)";

const isFor = (text: string, sink: SinkName): boolean => sinksOf(text)?.includes(sink) ?? true;

const plus = (a: LineCounts, b: LineCounts): LineCounts => ({
  events: a.events + b.events,
  quarantined: a.quarantined + b.quarantined,
});

const minus = (a: LineCounts, b: LineCounts): LineCounts => ({
  events: a.events - b.events,
  quarantined: a.quarantined - b.quarantined,
});

function joined(rows: readonly LinesRow[]): readonly number[] | "all" | null {
  if (rows.length === 0) return null;
  const lists = rows.map(({ lines }) => JSON.parse(lines) as RedriveOrigin["lines"]);
  if (lists.some((lines) => lines === "all")) return "all";
  return [...new Set(lists.flatMap((lines) => lines as readonly number[]))].sort((a, b) => a - b);
}
