/** A data file as DuckDB is shown it: with those row groups only that may matter, under a name that says which. */
import type { PlannedFile } from "../../../durable-objects/lake-catalog/api.ts";
import { endWithRowGroups } from "../../../r2-layout/parquet-footer.ts";
import type { Footer } from "./footer.ts";

export class ScanFile {
  readonly file: PlannedFile;
  readonly footer: Footer;
  /** Indexes of its row groups that may matter, rising. */
  readonly kept: readonly number[];
  readonly name: string;
  /** Where the footer begins, in the file and in what is shown of it. */
  readonly endAt: number;
  /** The end as it is shown, where it is held. */
  #end: Uint8Array | null = null;
  #endBytes: number;

  constructor(file: PlannedFile, footer: Footer, kept: readonly number[]) {
    this.file = file;
    this.footer = footer;
    this.kept = kept;
    this.endAt = file.bytes - footer.bytes;
    this.#endBytes = footer.bytes;
    // Another choice is another file to DuckDB, which may remember how long a file of that name was.
    this.name = this.isWhole ? file.key : `${file.key}~${spans(kept)}`;
  }

  get isWhole(): boolean {
    return this.kept.length === this.footer.rowGroups.length;
  }

  get bytes(): number {
    return this.endAt + this.#endBytes;
  }

  /** @param end the file's own footer. @returns the footer that is shown; its length is known from then on. */
  shownEnd(end: Uint8Array): Uint8Array {
    const shown = this.isWhole ? end : endWithRowGroups(end, this.kept);
    this.#endBytes = shown.length;
    return shown;
  }

  hold(shown: Uint8Array): void {
    this.#end = shown;
  }

  get end(): Uint8Array | null {
    return this.#end;
  }
}

/** `0-3.7`: neither a pattern to DuckDB nor longer than it must be. */
function spans(indexes: readonly number[]): string {
  const parts: string[] = [];
  for (let i = 0; i < indexes.length; ) {
    let last = i;
    while (indexes[last + 1] === indexes[last]! + 1) last++;
    parts.push(last === i ? `${indexes[i]}` : `${indexes[i]}-${indexes[last]}`);
    i = last + 1;
  }
  return parts.join(".");
}
