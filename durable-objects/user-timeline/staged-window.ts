/**
 * What a rebuild of a window has laid beside a timeline: pieces of the window as the log has them, and, once they are
 * settled, what they took the place of. Rows of packed lines, a few hundred KiB each at most.
 */
import type { EventRow } from "../../r2-layout/event-columns.ts";
import type { Subject, WindowRange } from "./api.ts";
import { hasTable } from "./chunk-store.ts";
import { packLines, unpackLines } from "./event-packing.ts";
import type { Entry } from "./timeline-entry.ts";
import { entryOfLine } from "./timeline-entry.ts";

/** Characters of one row before they are packed: far below what a row may be. */
const ROW_CHARS = 512 * 1_024;

/** `piece`: the window. `before`: entries that it took out or changed. `added`: entries that it brought, or has changed. */
type Kind = "piece" | "before" | "added";

interface Header {
  readonly rules: number;
  /** Of a piece. */
  readonly subject?: Subject;
  readonly range?: WindowRange;
}

type StagedRow = { kind: Kind; header: string; data: ArrayBuffer };
type PlacedRow = StagedRow & { job: string; place: string; part: number };

export class StagedWindow {
  readonly #sql: SqlStorage;
  readonly #job: string;

  constructor(sql: SqlStorage, job: string) {
    this.#sql = sql;
    this.#job = job;
  }

  stage(subject: Subject, range: WindowRange, rules: number, lines: readonly string[]): void {
    this.#put("piece", `${range.shard}/${range.to}`, { subject, range, rules }, lines);
  }

  /** Keeps what a settlement changed. @param rules the timeline's, as of now */
  keep(before: readonly Entry[], added: readonly Entry[], rules: number): void {
    const lines = (entries: readonly Entry[]) => entries.map(({ line }) => line);
    this.#put("before", "", { rules }, lines(before));
    this.#put("added", "", { rules }, lines(added));
  }

  get isSettled(): boolean {
    return this.#rows("before").length > 0;
  }

  /** Without a subject where nothing was staged. */
  pieces(): { subject: Subject | undefined; ranges: WindowRange[]; rules: number; entries: Entry[] } {
    const rows = this.#rows("piece");
    const headers = rows.map(({ header }) => JSON.parse(header) as Header);
    return {
      subject: headers[0]?.subject,
      ranges: headers.map(({ range }) => range!),
      rules: Math.max(0, ...headers.map(({ rules }) => rules)),
      entries: rows.flatMap(entriesOf),
    };
  }

  /** What was kept by `keep`; null where nothing was. */
  kept(): { before: Entry[]; added: Entry[]; rules: number } | null {
    const before = this.#rows("before");
    if (before.length === 0) return null;
    const { rules } = JSON.parse(before[0]!.header) as Header;
    return { before: before.flatMap(entriesOf), added: this.#rows("added").flatMap(entriesOf), rules };
  }

  /** The pieces stay. */
  forgetKept(): void {
    if (this.#exists) this.#sql.exec("DELETE FROM staged WHERE job = ? AND kind <> 'piece'", this.#job);
  }

  /** @returns whether anything of any job is left */
  drop(): boolean {
    if (!this.#exists) return false;
    this.#sql.exec("DELETE FROM staged WHERE job = ?", this.#job);
    return this.#sql.exec("SELECT 1 FROM staged LIMIT 1").toArray().length > 0;
  }

  /** At least one row, so that what is empty can be told from what is not there. */
  #put(kind: Kind, place: string, header: Header, lines: readonly string[]): void {
    this.#sql.exec(`CREATE TABLE IF NOT EXISTS staged (
      job TEXT NOT NULL,
      kind TEXT NOT NULL,
      place TEXT NOT NULL,
      part INTEGER NOT NULL,
      header TEXT NOT NULL,
      data BLOB NOT NULL,
      PRIMARY KEY (job, kind, place, part)) WITHOUT ROWID`);
    this.#sql.exec("DELETE FROM staged WHERE job = ? AND kind = ? AND place = ?", this.#job, kind, place);
    const groups = groupsOf(lines);
    for (const [part, group] of groups.entries()) {
      const row = [this.#job, kind, place, part, JSON.stringify(header), packLines(group)];
      this.#sql.exec("INSERT INTO staged VALUES (?, ?, ?, ?, ?, ?)", ...row);
    }
  }

  #rows(kind: Kind): StagedRow[] {
    if (!this.#exists) return [];
    const query = "SELECT kind, header, data FROM staged WHERE job = ? AND kind = ? ORDER BY place, part";
    return this.#sql.exec<StagedRow>(query, this.#job, kind).toArray();
  }

  get #exists(): boolean {
    return hasTable(this.#sql, "staged");
  }
}

/** Takes events out of what is kept for the way back: they stand at another place by then. */
export function leaveKept(sql: SqlStorage, ties: ReadonlySet<string>): void {
  if (!hasTable(sql, "staged")) return;
  const rows = sql.exec<PlacedRow>("SELECT * FROM staged WHERE kind = 'before'").toArray();
  for (const row of rows) {
    const entries = entriesOf(row);
    const left = entries.filter(({ position }) => !ties.has(position.tie));
    if (left.length === entries.length) continue;
    const { job, place, part } = row;
    const data = packLines(left.map(({ line }) => line));
    const key = "job = ? AND kind = 'before' AND place = ? AND part = ?";
    sql.exec(`UPDATE staged SET data = ? WHERE ${key}`, data, job, place, part);
  }
}

/** Of any job's rows. @returns how many entries match; with `isTaken` they are gone */
export function scrubStaged(sql: SqlStorage, matches: (event: EventRow) => boolean, isTaken: boolean): number {
  if (!hasTable(sql, "staged")) return 0;
  let found = 0;
  for (const row of sql.exec<PlacedRow>("SELECT * FROM staged").toArray()) {
    const entries = entriesOf(row);
    const left = entries.filter(({ event }) => !matches(event));
    found += entries.length - left.length;
    if (!isTaken || left.length === entries.length) continue;
    sql.exec(
      "UPDATE staged SET data = ? WHERE job = ? AND kind = ? AND place = ? AND part = ?",
      packLines(left.map(({ line }) => line)),
      ...[row.job, row.kind, row.place, row.part],
    );
  }
  return found;
}

/** Whether anything of any job is kept. */
export const hasStaged = (sql: SqlStorage): boolean =>
  hasTable(sql, "staged") && sql.exec("SELECT 1 FROM staged LIMIT 1").toArray().length > 0;

const entriesOf = ({ data }: StagedRow): Entry[] =>
  unpackLines(new Uint8Array(data))
    .filter((line) => line !== "")
    .map(entryOfLine);

function groupsOf(lines: readonly string[]): string[][] {
  const groups: string[][] = [[]];
  let chars = 0;
  for (const line of lines) {
    if (chars > 0 && chars + line.length > ROW_CHARS) {
      groups.push([]);
      chars = 0;
    }
    groups.at(-1)!.push(line);
    chars += line.length;
  }
  return groups;
}
