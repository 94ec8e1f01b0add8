/**
 * One instance of DuckDB-wasm 1.28.0 (DuckDB 0.9.1, the last build with Parquet linked in) inside workerd.
 *
 * DuckDB is C++ that reads files by blocking calls; R2 answers with promises. JSPI joins them: the file read import
 * is `Suspending`, the exports that run a statement are `promising`, and while a read is on its way the whole wasm
 * stack is parked. There is one C stack, so one statement at a time (engine-slot.ts holds the lock).
 *
 * Imports and exports have minified names. None is trusted: the file read and the heap's growth are recognised by
 * what their source calls, the exports by watching which one a named call of the glue ends in, and a probe file is
 * then read through all of it. A build that differs does not start.
 */
import wasm from "@duckdb/duckdb-wasm/dist/duckdb-eh.wasm";
import { installScalarFunctions } from "../functions/install.ts";
import { callsOurs, MACRO_DEFINITIONS } from "../functions/macros.ts";
import { joinZones } from "../functions/zone-chains.ts";
import { Clock, type Turn } from "./clock.ts";
import type { GlueBindings, GlueModule } from "./duckdb-glue.ts";
import { glue } from "./duckdb-glue.ts";
import { instantiateQuietly } from "./quiet-glue.ts";
import {
  bindFiles,
  FILE_READER_PROTOCOL,
  FILE_WRITER_PROTOCOL,
  FileTable,
  NO_FILES,
  RUNTIME,
  type VirtualFiles,
} from "./virtual-files.ts";
import { GUEST_STACK_BYTES, WasmStack } from "./wasm-stack.ts";

export interface InstanceLimits {
  /** The wasm heap never grows past this; DuckDB then reports that it is out of memory. */
  readonly heapBytes: number;
  /** DuckDB's own accounting, below the heap. */
  readonly memoryLimitBytes: number;
}

type Run = (response: number, connection: number, text: number) => Promise<void>;
type Send = (response: number, connection: number, statement: number, values: number) => Promise<void>;
type Step = (first: number, second: number) => Promise<void>;

/** An error of the statement itself, in DuckDB's words. */
export class SqlError extends Error {}

export class DuckDbInstance {
  readonly #mod: GlueModule;
  #connection: number;
  /** For what runs in a pause of another, and in a pause of that. */
  readonly #levels: readonly Level[];
  #level = 0;
  /** Sees no views, which belong to the other one. */
  readonly #bareConnection: number;
  readonly #files: FileTable;
  readonly #exports: StatementExports;
  readonly #stack: WasmStack;
  readonly #clock: Clock;
  readonly #direct = new Set<string>();
  /** Whether it knows our functions. */
  #learned = false;
  /** The one file that may be written; null until it is. */
  #result: string | null = null;
  /** Set once a call ended in anything but an answer or DuckDB's own error: its C stack can no longer be trusted. */
  broken = false;
  /** The definition of each view that exists, so that the same files are not bound again. */
  views = new Map<string, string>();

  private constructor(
    bindings: GlueBindings,
    files: FileTable,
    stack: WasmStack,
    clock: Clock,
    connection: number,
    exports: StatementExports,
  ) {
    this.#stack = stack;
    this.#clock = clock;
    this.#mod = bindings.mod;
    this.#files = files;
    this.#connection = connection;
    this.#levels = Array.from({ length: LEVELS }, () => ({
      connection: bindings.connect()._conn,
      views: new Map(),
      stack: new WasmStack(bindings.mod, GUEST_STACK_BYTES),
    }));
    this.#bareConnection = bindings.connect()._conn;
    this.#exports = exports;
  }

  /** @throws if the build is not the one this code knows. */
  static async boot(limits: InstanceLimits): Promise<DuckDbInstance> {
    const bindings = await glue.createDuckDB(BUNDLES, new glue.VoidLogger(), RUNTIME);
    const files = new FileTable();
    const clock = new Clock();
    const watched = instantiateWith(bindings, files, clock, limits);
    await instantiateQuietly(bindings);
    bindFiles(bindings.mod, files);
    const stack = new WasmStack(bindings.mod);
    stack.enter();
    bindings.open({ maximumThreads: 1 });
    const connection = bindings.connect()._conn;
    const exports = watched.findExports(bindings.mod);
    const instance = new DuckDbInstance(bindings, files, stack, clock, connection, exports);
    await instance.run(`SET memory_limit='${Math.floor(limits.memoryLimitBytes / 1_000)}KB'`);
    // Its profiler looks at the clock: that is where a statement can be interrupted (clock.ts). What it would print goes
    // nowhere (quiet-glue.ts).
    for (const each of [connection, ...instance.#levels.map((level) => level.connection)]) {
      await instance.#runOn(each, "SET enable_profiling='json'");
    }
    await instance.#probe();
    installScalarFunctions(bindings.mod, connection);
    await instance.run("SET temp_directory=''");
    await instance.run("SET lock_configuration=true");
    return instance;
  }

  /** Bytes of the wasm heap. It never shrinks. */
  get heapBytes(): number {
    return this.#mod.HEAPU8.length;
  }

  /**
   * Has files read directly. DuckDB-wasm would otherwise keep every page of 16,384 bytes that a statement touches on its
   * heap until the statement ends, up to 10,000 of them: a scan of 40 MB would take 40 MB. It is faster, too, by half.
   */
  #readDirectly(names: Iterable<string>): void {
    for (const name of names) {
      if (this.#direct.has(name)) continue;
      this.#register(name, FILE_READER_PROTOCOL);
      this.#direct.add(name);
    }
    // It never forgets one.
    if (this.#direct.size > FILES_MAX) this.broken = true;
  }

  #register(name: string, protocol: number): void {
    const types = ["string", "string", "number", "boolean"];
    const [status] = glue.callSRet(this.#mod, "duckdb_web_fs_register_file_url", types, [name, name, protocol, true]);
    glue.dropResponseBuffers(this.#mod);
    if (status !== 0) throw new Error(`DuckDB cannot be told of ${name}`);
  }

  /** The files that statements may see from now on. */
  show(files: VirtualFiles): void {
    this.#files.visible = files;
    this.#readDirectly(files.names());
  }

  /** Has what is written to one file handed over, from now on until it is closed. @returns the file's name. */
  openResult(write: (bytes: Uint8Array<ArrayBuffer>) => void): string {
    if (this.#result === null) {
      this.#result = `result-${crypto.randomUUID()}`;
      this.#register(this.#result, FILE_WRITER_PROTOCOL);
    }
    this.#files.written = { name: this.#result, write };
    return this.#result;
  }

  closeResult(): void {
    this.#files.written = null;
  }

  /**
   * Makes the instance another statement's, from within a turn of the one that runs: it has a connection, views and a C
   * stack of its own. It has to be over, and the function that is returned called, before the turn is.
   * @returns null where so many are parked already that there is no other stack.
   */
  lend(): (() => void) | null {
    const next = this.#levels[this.#level];
    if (!next) return null;
    const { views } = this;
    const connection = this.#connection;
    const { turn } = this.#clock;
    const { visible } = this.#files;
    const stack = this.#mod.stackSave();
    this.#connection = next.connection;
    this.views = next.views;
    this.#clock.turn = null;
    this.#level++;
    next.stack.enter();
    return () => {
      this.#level--;
      this.#mod.stackRestore(stack);
      this.#files.visible = visible;
      this.#clock.turn = turn;
      this.views = views;
      this.#connection = connection;
    };
  }

  /**
   * After `lend`, and before others come: does what the parked statement has left in DuckDB's queue of tasks. A build
   * without threads has one queue for all connections, and who runs a statement runs what stands before it, to its end: a
   * light one would do a heavy one's work, with files of its own to see, and were it ended in the middle of a task, the
   * heavy one would wait for that for ever.
   * @param turn of the parked statement, whose work this is.
   * @returns whether it is done: not where there is no memory for even this. @throws what `turn` throws.
   */
  async finishOthers(turn: Turn): Promise<boolean> {
    this.#clock.turn = turn;
    try {
      await this.run("SELECT 1");
      return true;
    } catch (error) {
      if (error instanceof SqlError && !this.broken) return false;
      throw error;
    } finally {
      this.#clock.turn = null;
    }
  }

  /** Runs a statement of our own and drops its answer. @throws SqlError */
  async run(sql: string): Promise<void> {
    await this.#runOn(this.#connection, sql);
  }

  async #runOn(connection: number, sql: string): Promise<void> {
    await this.#withText(sql, (text) => this.#answer((at) => this.#exports.run(at, connection, text)));
  }

  /** Functions of ours take a third of the time of a start, and most statements call none. */
  async #learn(sql: string): Promise<void> {
    if (this.#learned || !callsOurs(sql)) return;
    await this.run(MACRO_DEFINITIONS);
    this.#learned = true;
  }

  /**
   * The tables a statement reads, as DuckDB's own parser sees them, so that it can be held against what ours saw. Asked
   * on a connection without our views, because to name tables DuckDB binds them with every parameter null.
   * @returns none where that fails for its own reasons. @throws SqlError for several statements.
   */
  async tableNames(sql: string): Promise<string[]> {
    await this.#learn(sql);
    try {
      const names = await this.#withText(joinZones(sql), (text) =>
        this.#answer((at) => this.#exports.tableNames(at, this.#bareConnection, text)),
      );
      return names ? (JSON.parse(new TextDecoder().decode(names)) as string[]) : [];
    } catch (error) {
      if (!(error instanceof SqlError) || /single statement/i.test(error.message)) throw error;
      return [];
    }
  }

  /**
   * Runs a statement, giving the caller a turn every few chunks of rows and after each batch. The result is pulled batch
   * by batch, so what needs no sorting or grouping is never in memory as a whole: a pending query (the glue's other way
   * to run in steps) would collect all of it first, a prepared statement does not.
   * @param turn may wait, and may throw to end the statement.
   * @param onBytes gets Arrow IPC messages: the schema, then a record batch each.
   * @throws SqlError, or what `turn` and `onBytes` throw.
   */
  async stream(sql: string, turn: Turn, onBytes: (message: Uint8Array<ArrayBuffer>) => void): Promise<void> {
    let ended = false;
    let prepared: number | null = null;
    await this.#learn(sql);
    try {
      this.#clock.turn = turn;
      prepared = await this.#withText(joinZones(sql), (text) => this.#prepare(text));
      const statement = prepared;
      const schema = await this.#withText("[]", (values) =>
        this.#answer((at) => this.#exports.send(at, this.#connection, statement, values)),
      );
      if (schema === null) throw new SqlError("the statement has no result");
      onBytes(schema);
      for (;;) {
        await turn();
        const batch = await this.#answer((at) => this.#exports.fetch(at, this.#connection));
        if (batch === null) break;
        onBytes(batch);
      }
      ended = true;
    } finally {
      this.#clock.turn = null;
      if (!this.broken) {
        const statement = prepared;
        if (statement !== null) await this.#answer((at) => this.#exports.close(at, this.#connection, statement));
        // A result that was not read to its end is held until the next statement begins.
        if (!ended) await this.run("SELECT 1");
      }
    }
  }

  /** @returns the number of the prepared statement. @throws SqlError */
  #prepare(text: number): Promise<number> {
    return this.#respond(
      (at) => this.#exports.prepare(at, this.#connection, text),
      (at) => at,
    );
  }

  /** @returns a copy of the answer, null for an empty one. */
  #answer(call: (response: number) => Promise<void>): Promise<Uint8Array<ArrayBuffer> | null> {
    return this.#respond(call, (at, bytes) => (at === 0 || bytes === 0 ? null : glue.copyBuffer(this.#mod, at, bytes)));
  }

  async #respond<T>(call: (response: number) => Promise<void>, read: (at: number, bytes: number) => T): Promise<T> {
    const mod = this.#mod;
    const stack = mod.stackSave();
    const response = mod.stackAlloc(24);
    try {
      await call(response);
    } catch (error) {
      this.broken = true;
      throw error;
    }
    if (!this.#stack.isWhole() || !this.#levels.every((level) => level.stack.isWhole())) {
      this.broken = true;
      throw new SqlError("Out of Memory Error: the statement nests too deep");
    }
    const [status, at, bytes] = mod.HEAPF64.subarray(response >> 3, (response >> 3) + 3) as unknown as number[];
    mod.stackRestore(stack);
    try {
      if (status !== 0) throw new SqlError(glue.readString(mod, at!, bytes!));
      return read(at!, bytes!);
    } finally {
      glue.dropResponseBuffers(mod);
    }
  }

  async #withText<T>(sql: string, use: (text: number) => Promise<T>): Promise<T> {
    const mod = this.#mod;
    const bytes = new TextEncoder().encode(`${sql}\0`);
    const text = mod._malloc(bytes.length);
    mod.HEAPU8.set(bytes, text);
    try {
      return await use(text);
    } finally {
      if (!this.broken) mod._free(text);
    }
  }

  /** Reads a file of one line, once at hand and once after a wait, through every export found. */
  async #probe(): Promise<void> {
    const text = new TextEncoder().encode("eventpile\n42\n");
    let turns = 0;
    const { ticks } = Clock;
    for (const late of [false, true]) {
      const name = late ? "probe-late.csv" : "probe-now.csv";
      let reads = 0;
      this.show({
        names: () => [name],
        size: (asked) => (asked === name ? text.length : undefined),
        read(_name, at, length) {
          reads++;
          const bytes = text.subarray(at, at + length);
          return late ? Promise.resolve(bytes) : bytes;
        },
      });
      let bytes = 0;
      await this.stream(
        `select eventpile from read_csv('${name}', header=true, columns={'eventpile': 'VARCHAR'})`,
        () => {
          turns++;
          return late ? Promise.resolve() : undefined;
        },
        (message) => {
          bytes += includes(message, "42") || includes(message, "eventpile") ? 1 : 0;
        },
      );
      if (reads === 0 || turns < 2 || bytes < 2 || Clock.ticks === ticks)
        throw new Error("DuckDB did not read the probe: not the build this code knows");
    }
    this.show(NO_FILES);
  }
}

/** Files that one instance may come to know. */
const FILES_MAX = 50_000;

interface Level {
  readonly connection: number;
  readonly views: Map<string, string>;
  readonly stack: WasmStack;
}

/** Two for pipelines of a heavy statement that stand in the queue at once, and one for its guests. */
const LEVELS = 3;

/** Of the profiler, and of the scheduler. */
const CALLS_PER_TICK = 32;
const TASKS_PER_TICK = 4;

const BUNDLES = { mvp: { mainModule: "", mainWorker: "" }, eh: { mainModule: "", mainWorker: "" } };

interface StatementExports {
  readonly run: Run;
  readonly prepare: Run;
  readonly send: Send;
  readonly close: Run;
  readonly tableNames: Run;
  readonly fetch: Step;
}

type Callable = (...values: never[]) => unknown;

/** Gives the glue its instance, with the read import suspending, the heap bounded, and every export watched. */
function instantiateWith(bindings: GlueBindings, files: FileTable, clock: Clock, limits: InstanceLimits) {
  let called: string | null = null;
  let listening = false;
  let real: Record<string, WebAssembly.ExportValue> = {};
  bindings.instantiateWasm = (imports, done) => {
    (globalThis as { DUCKDB_RUNTIME?: unknown }).DUCKDB_RUNTIME = RUNTIME;
    const read = onlyImport(imports.a, /DUCKDB_RUNTIME\.readFile\(/, 4);
    imports.a[read] = suspending((fileId: number, buffer: number, length: number, at: number | bigint) =>
      files.read(bindings.mod, fileId, buffer, Number(length), Number(at)),
    );
    imports.a[onlyImport(imports.a, /Date\.now\(\)/, 0)] = clock.gate(() => Date.now(), CALLS_PER_TICK);
    imports.a[onlyImport(imports.a, /performance\.now\(\)/, 0)] = clock.gate(() => performance.now(), TASKS_PER_TICK);
    // Emscripten's own step, 100,663,296 bytes at most, is a constant that no minifier changes.
    const grow = onlyImport(imports.a, /100663296/, 1);
    const growHeap = imports.a[grow] as unknown as (bytes: number) => boolean;
    imports.a[grow] = (bytes: number) => (bytes >>> 0 <= limits.heapBytes / HEAP_STEP ? growHeap(bytes) : false);
    const instance = new WebAssembly.Instance(wasm, imports);
    real = instance.exports;
    const watched: Record<string, WebAssembly.ExportValue> = {};
    for (const [name, value] of Object.entries(real)) {
      const isFunction = typeof value === "function";
      watched[name] = isFunction
        ? (...values: unknown[]) => {
            if (listening) {
              called = name;
              return 0;
            }
            return (value as (...values: unknown[]) => unknown)(...values);
          }
        : value;
    }
    return done({ exports: watched } as WebAssembly.Instance, wasm);
  };
  return {
    /** Calls each of the glue's functions with the exports switched off, and sees which one it would have run. */
    findExports(mod: GlueModule): StatementExports {
      const find = (name: `_duckdb_web_${string}`, parameters: number): Callable => {
        called = null;
        listening = true;
        mod[name]?.();
        listening = false;
        const value = called === null ? undefined : real[called];
        if (typeof value !== "function" || value.length !== parameters) throw new Error(`DuckDB has no ${name}`);
        return value as Callable;
      };
      return {
        run: WebAssembly.promising(find("_duckdb_web_query_run", 3)) as Run,
        prepare: WebAssembly.promising(find("_duckdb_web_prepared_create", 3)) as Run,
        send: WebAssembly.promising(find("_duckdb_web_prepared_send", 4)) as Send,
        close: WebAssembly.promising(find("_duckdb_web_prepared_close", 3)) as Run,
        tableNames: WebAssembly.promising(find("_duckdb_web_get_tablenames", 3)) as Run,
        fetch: WebAssembly.promising(find("_duckdb_web_query_fetch_results", 2)) as Step,
      };
    },
  };
}

/** Emscripten grows by a fifth more than asked. */
const HEAP_STEP = 1.2;

function onlyImport(imports: Record<string, unknown>, source: RegExp, parameters: number): string {
  const found = Object.entries(imports).filter(
    ([, value]) => typeof value === "function" && value.length === parameters && source.test(String(value)),
  );
  if (found.length !== 1) throw new Error(`DuckDB's import ${source} was found ${found.length} times`);
  return found[0]![0];
}

function includes(bytes: Uint8Array, text: string): boolean {
  return new TextDecoder("latin1").decode(bytes).includes(text);
}

/** A wasm import like any other to the types, though it is an object. */
const suspending = (call: (...values: never[]) => number | Promise<number>) =>
  new WebAssembly.Suspending(call) as unknown as WebAssembly.ImportValue;
