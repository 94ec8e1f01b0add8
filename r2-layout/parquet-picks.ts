/**
 * Values of some rows of a row group, a page at a time: what is not asked for goes with its page, and pages without a row
 * that is asked for are stepped over. Texts, among them the lists' and maps', stay bytes until they are picked.
 *
 * hyparquet's own reading makes an object of every value of a column, and keeps the columns: of 100,000 rows that is some
 * hundred megabytes, for the few that are wanted. Its footer, page headers, levels and numbers serve here, too.
 */
import { type parquetMetadata, parquetSchema } from "hyparquet";
import { parquetHeader, readPage } from "hyparquet/src/column.js";
import { DEFAULT_PARSERS } from "hyparquet/src/convert.js";
import { getTreePath } from "hyparquet/src/schema.js";
import { type TextLevels, TextPages } from "./parquet-text-pages.ts";

type Metadata = ReturnType<typeof parquetMetadata>;
type Decoder = Parameters<typeof readPage>[2];

export interface PickOptions {
  readonly compressors: NonNullable<Decoder["compressors"]>;
  readonly parsers: Partial<Decoder["parsers"]>;
  /** Bytes `start` up to `end` of the file. */
  readonly read: (start: number, end: number) => Promise<ArrayBuffer>;
}

interface Leaf {
  readonly decoder: Decoder;
  readonly levels: TextLevels;
  readonly bytes: ArrayBuffer;
}

/** One row group of a file. Rows are numbered from 0. */
export class GroupPicks {
  readonly #group: Metadata["row_groups"][number];
  readonly #tree: ReturnType<typeof parquetSchema>;
  readonly #options: PickOptions;

  constructor(metadata: Metadata, group: number, options: PickOptions) {
    this.#group = metadata.row_groups[group]!;
    this.#tree = parquetSchema(metadata);
    this.#options = options;
  }

  /** The rows that have this text in a column, ascending. */
  async rowsWith(column: string, text: string): Promise<number[]> {
    const [leaf] = await this.#leaves(column);
    return this.#texts(leaf!).rowsWith(text);
  }

  /** Whether a row of the group may have one of these keys in a map. */
  async mayHaveKey(column: string, keys: readonly string[]): Promise<boolean> {
    const [leaf] = await this.#leaves(column, 1);
    return this.#texts(leaf!).mayHave(keys);
  }

  /**
   * The column's values in these rows, which ascend; null where a row has none. Lists are arrays, maps are objects.
   * @throws RangeError for a row beyond the last.
   */
  async values(column: string, rows: readonly number[]): Promise<unknown[]> {
    const leaves = await this.#leaves(column);
    const picked = leaves.map((leaf) => (isText(leaf) ? this.#texts(leaf).picked(rows) : numbersOf(leaf, rows)));
    for (const values of picked) {
      if (values.length !== rows.length) throw new RangeError(`${column} ends before row ${rows[values.length]}`);
    }
    const [keys, values] = picked as (readonly unknown[] | null)[][];
    if (!values) return keys!;
    return rows.map(
      (_, i) => keys![i] && Object.fromEntries(keys![i].map((key, at) => [key, values[i]?.[at] ?? null])),
    );
  }

  #texts({ bytes, decoder, levels }: Leaf): TextPages {
    const unpack = this.#options.compressors[decoder.codec];
    return new TextPages(bytes, levels, (page, size) => (unpack ? unpack(page, size) : page));
  }

  /** A map has two column chunks: its keys and its values. @throws RangeError where there is no such column. */
  async #leaves(column: string, most = 2): Promise<Leaf[]> {
    const { compressors, parsers, read } = this.#options;
    const metas = this.#group.columns.flatMap(({ meta_data: meta }) =>
      meta?.path_in_schema[0] === column ? [meta] : [],
    );
    if (metas.length === 0) throw new RangeError(`the file has no column ${column}`);
    return Promise.all(
      metas.slice(0, most).map(async (meta) => {
        const schemaPath = getTreePath(this.#tree, meta.path_in_schema);
        const { element } = schemaPath.at(-1)!;
        const paths = { pathInSchema: meta.path_in_schema, element, schemaPath };
        const start = Number(meta.dictionary_page_offset || meta.data_page_offset);
        return {
          decoder: { ...meta, ...paths, compressors, parsers: { ...DEFAULT_PARSERS, ...parsers } },
          levels: levelsOf(schemaPath),
          bytes: await read(start, start + Number(meta.total_compressed_size)),
        };
      }),
    );
  }
}

const isText = ({ decoder }: Leaf): boolean => decoder.type === "BYTE_ARRAY";

/** How deep a value of the column is defined, and how deep an entry of its list or map. */
function levelsOf(path: Decoder["schemaPath"]): TextLevels {
  let defined = 0;
  let entry = 0;
  for (const { element } of path.slice(1)) {
    if (element.repetition_type !== "REQUIRED") defined++;
    if (element.repetition_type !== "REPEATED") continue;
    if (entry > 0) throw new RangeError("a column with lists in lists is none of ours");
    entry = defined;
  }
  return { defined, entry };
}

/** Of a column of numbers, times or booleans: a page of them is small. */
function numbersOf({ bytes, decoder }: Leaf, rows: readonly number[]): unknown[] {
  const reader = { view: new DataView(bytes), offset: 0 };
  const picked: unknown[] = [];
  let dictionary: Parameters<typeof readPage>[3];
  for (let row = 0; picked.length < rows.length && reader.offset < bytes.byteLength; ) {
    const header = parquetHeader(reader);
    if (header.type === "DICTIONARY_PAGE") {
      dictionary = readPage(reader, header, decoder, undefined, undefined, 0).data;
      continue;
    }
    const count = header.data_page_header?.num_values ?? 0;
    if (rows[picked.length]! >= row + count) reader.offset += header.compressed_page_size;
    else {
      const values = readPage(reader, header, decoder, dictionary, undefined, 0).data!;
      while (picked.length < rows.length && rows[picked.length]! < row + count) {
        picked.push(values[rows[picked.length]! - row] ?? null);
      }
    }
    row += count;
  }
  return picked;
}
