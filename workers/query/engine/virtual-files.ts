/**
 * What DuckDB sees of the world: a read-only file system with the data files of one statement and nothing else. No
 * other file opens, nothing is written but one result under a name that nobody can guess, no host is asked; whatever gets
 * past the planner ends here.
 *
 * The glue calls one global, `DUCKDB_RUNTIME`, and hands over its module; instances come and go within an isolate,
 * so the global only looks up the module's own files.
 */
import { callScalar } from "../functions/install.ts";
import type { GlueModule } from "./duckdb-glue.ts";
import { glue } from "./duckdb-glue.ts";

export interface VirtualFiles {
  names(): Iterable<string>;
  /** Bytes, or undefined where there is no such file. */
  size(name: string): number | undefined;
  /** At most `length` bytes from `at`: at once where they are in memory, else a promise, which suspends DuckDB. */
  read(name: string, at: number, length: number): Uint8Array | Promise<Uint8Array>;
}

export const NO_FILES: VirtualFiles = {
  names: () => [],
  size: () => undefined,
  read: () => new Uint8Array(0),
};

/** The one file that may be written, from its beginning to its end. */
export interface WrittenFile {
  readonly name: string;
  write(bytes: Uint8Array<ArrayBuffer>): void;
}

/** The files of one instance: DuckDB's file ids are numbers, resolved to names when a file is opened. */
export class FileTable {
  visible: VirtualFiles = NO_FILES;
  written: WrittenFile | null = null;
  #writtenBytes = 0;
  readonly #names = new Map<number, string>();

  /**
   * @returns a pointer to (size, data, modification time) as doubles.
   * @throws FileRefused straight through DuckDB's stack: answering 0, the glue's way to say no, makes DuckDB wait for
   * ever. The planner lets no statement come this far, so the price, a new instance, is paid by an attack that found
   * a hole.
   */
  open(mod: GlueModule, fileId: number, flags: number): number {
    const name = this.#resolve(mod, fileId);
    const isWritten = name === this.written?.name && (flags & FLAGS_WRITE) !== 0;
    if (isWritten) this.#writtenBytes = 0;
    const size = isWritten ? 0 : this.visible.size(name);
    if (size === undefined || (flags & FLAGS_WRITE && !isWritten)) throw new FileRefused();
    const at = mod._malloc(24);
    mod.HEAPF64[at >> 3] = size;
    mod.HEAPF64[(at >> 3) + 1] = 0;
    mod.HEAPF64[(at >> 3) + 2] = 0;
    return at;
  }

  read(mod: GlueModule, fileId: number, buffer: number, length: number, at: number): number | Promise<number> {
    const name = this.#names.get(fileId) ?? this.#resolve(mod, fileId);
    const size = this.visible.size(name) ?? 0;
    const wanted = Math.max(0, Math.min(length, size - at));
    if (wanted === 0) return 0;
    const bytes = this.visible.read(name, at, wanted);
    if (bytes instanceof Uint8Array) return copyIn(mod, bytes, buffer);
    return bytes.then((late) => copyIn(mod, late, buffer));
  }

  /** @returns bytes taken. @throws FileRefused for any other file, and for what is not at its end. */
  write(mod: GlueModule, fileId: number, buffer: number, length: number, at: number): number {
    const { written } = this;
    if (!written || this.#resolve(mod, fileId) !== written.name || at !== this.#writtenBytes) throw new FileRefused();
    this.#writtenBytes += length;
    written.write(mod.HEAPU8.slice(buffer >>> 0, (buffer >>> 0) + length) as Uint8Array<ArrayBuffer>);
    return length;
  }

  #resolve(mod: GlueModule, fileId: number): string {
    const [, at, bytes] = glue.callSRet(mod, "duckdb_web_fs_get_file_info_by_id", ["number", "number"], [fileId, 0]);
    const info = JSON.parse(glue.readString(mod, at, bytes)) as { fileName: string };
    glue.dropResponseBuffers(mod);
    this.#names.set(fileId, info.fileName);
    return info.fileName;
  }
}

/** Write, create, create new, append. */
const FLAGS_WRITE = 2 | 8 | 16 | 32;

/** A statement tried to open a file that it was not given, or to write one. */
export class FileRefused extends Error {
  constructor() {
    super("a statement may only read the tables it names");
  }
}

/** The heap is looked up anew: it may have grown, and moved, while a read was on its way. */
function copyIn(mod: GlueModule, bytes: Uint8Array, at: number): number {
  mod.HEAPU8.set(bytes, at >>> 0);
  return bytes.length;
}

const tables = new WeakMap<GlueModule, FileTable>();
/** Calls that come before the glue has handed its module out, while it instantiates. */
const none = new FileTable();
const tableOf = (mod: GlueModule): FileTable => tables.get(mod) ?? none;

export function bindFiles(mod: GlueModule, table: FileTable): void {
  tables.set(mod, table);
}

/** DuckDB-wasm's name for files that the runtime reads. */
export const FILE_READER_PROTOCOL = 2;
/** And for files that it writes, too. */
export const FILE_WRITER_PROTOCOL = 1;
const FEATURE_BIGINT64 = 1;

export const RUNTIME = {
  _files: new Map(),
  _udfFunctions: new Map(),
  testPlatformFeature: (_mod: GlueModule, feature: number) => feature === FEATURE_BIGINT64,
  getDefaultDataProtocol: () => FILE_READER_PROTOCOL,
  openFile: (mod: GlueModule, fileId: number, flags: number) => tableOf(mod).open(mod, fileId, flags),
  readFile: () => {
    throw new Error("reads go through the suspending import");
  },
  glob(mod: GlueModule, at: number, bytes: number) {
    const path = glue.readString(mod, at, bytes);
    if (tableOf(mod).visible.size(path) === undefined) return;
    mod.ccall("duckdb_web_fs_glob_add_path", null, ["string"], [path]);
  },
  checkFile: (mod: GlueModule, at: number, bytes: number) =>
    tableOf(mod).visible.size(glue.readString(mod, at, bytes)) !== undefined,
  getLastFileModificationTime: () => 0,
  closeFile() {},
  syncFile() {},
  truncateFile() {},
  writeFile: (mod: GlueModule, fileId: number, buffer: number, length: number, at: number) =>
    tableOf(mod).write(mod, fileId, buffer, length, at),
  removeDirectory() {},
  checkDirectory: () => false,
  createDirectory() {},
  listDirectoryEntries: () => false,
  moveFile() {},
  removeFile() {},
  callScalarUDF: (
    mod: GlueModule,
    response: number,
    functionId: number,
    description: number,
    descriptionBytes: number,
    pointers: number,
  ) => callScalar(mod, functionId, { response, description, descriptionBytes, pointers }),
};
