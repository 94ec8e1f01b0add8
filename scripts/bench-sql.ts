/**
 * `npm run bench:sql`: the query Worker in workerd over 2,000,000 events in files as the lake sink writes them, against
 * native DuckDB with one thread over the same files in the same run: every statement of test/workers/query/statements.
 * Every answer is compared with native's first. `--quick` is for every build: 200,000 events, a quarter of the statements, fewer runs.
 *
 * First every statement runs once on each side and the answers are compared; that also warms up the compiler, ours and
 * theirs. Warm: median of runs in turns. Cold, last: the engine was thrown away and nothing is in memory; native opens its
 * database anew, its files are in the system's page cache. Ours is the Worker's time, from the request's coming to the
 * result's last row: planning, the catalog and the budget are in it, the local HTTP proxy is not. Bytes needed are the
 * footers and column chunks of the row groups that can matter. What does not fit in memory is refused, and listed.
 */

import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { SQL } from "../r2-layout/limits.ts";
import { type Native, nativeDuckDb } from "../test/workers/query/native.ts";
import { type QueryRig, type SqlAnswer, startRig } from "../test/workers/query/rig.ts";
import { fillLake } from "../test/workers/query/statements/lake.ts";
import { type Statement, statements } from "../test/workers/query/statements/statements.ts";
import { quantile } from "./bench/figures.ts";

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    /** Only statements whose name contains it. */
    only: { type: "string", default: "" },
    rows: { type: "string" },
    runs: { type: "string" },
  },
});
const ROWS = Number(options.rows ?? (options.quick ? 200_000 : 2_000_000));
const RUNS = Number(options.runs ?? (options.quick ? 3 : 5));
const USERS = 10_000;
/** Of the statements, a quick run asks one in so many; the tests ask them all. */
const QUICK_STEP = 4;
/** A statement that takes native longer than this is run this often only. */
const LONG_MS = 1_000;
const LONG_RUNS = 2;

interface Warm {
  readonly warmMs: number;
  readonly nativeMs: number;
  /** Of the quickest runs: what noise of the machine leaves. */
  readonly bestRatio: number;
  readonly heldBytes: number;
}

interface Cold {
  readonly cold: SqlAnswer["stats"];
  readonly nativeColdMs: number;
}

type Measured = { readonly name: string } & Warm & Cold;

async function main(): Promise<void> {
  const rig = await startRig();
  try {
    const began = performance.now();
    const { paths, bytes } = await fillLake(rig, { rows: ROWS, users: USERS });
    const seconds = ((performance.now() - began) / 1_000).toFixed(0);
    console.log(
      `${ROWS.toLocaleString("en")} events in ${paths.length} files, ${mib(bytes)} MiB, written in ${seconds} s\n`,
    );
    const all = statements().filter(
      ({ name }, i) => name.includes(options.only) && (!options.quick || i % QUICK_STEP === 0),
    );
    const native = await nativeDuckDb(paths);
    const warm = new Map<Statement, Warm>();
    try {
      const answered: Statement[] = [];
      for (const statement of all) if (await agrees(rig, native, statement)) answered.push(statement);
      for (const statement of answered) warm.set(statement, await measureWarm(rig, native, statement));
    } finally {
      native.close();
    }
    console.log(HEADER);
    const measured: Measured[] = [];
    for (const [statement, times] of warm) {
      const one = { name: statement.name, ...times, ...(await measureCold(rig, paths, statement)) };
      measured.push(one);
      console.log(line(one));
    }
    report(measured);
  } finally {
    await rig.stop();
  }
}

/** @returns false where ours is refused for want of memory. @throws where the answers differ. */
async function agrees(rig: QueryRig, native: Native, { name, sql, native: theirSql }: Statement): Promise<boolean> {
  const ours = await asked(rig, sql);
  if (ours.reason === "memory_exceeded" || ours.reason === "result_too_large") {
    console.log(`refused: ${name}: ${ours.detail}`);
    return false;
  }
  if (ours.status !== 200) throw new Error(`${name}: ${JSON.stringify(ours)}`);
  const expected = await native.rows(theirSql);
  if (JSON.stringify(ours.rows) === JSON.stringify(expected)) return true;
  throw new Error(`${name}: not what native DuckDB says\n${shown(ours.rows)}\n${shown(expected)}`);
}

async function measureWarm(rig: QueryRig, native: Native, { sql, native: theirSql }: Statement): Promise<Warm> {
  // A statement in between may have taken the pages' room.
  let heldBytes = held(await asked(rig, sql));
  const [ours, theirs]: [number[], number[]] = [[], []];
  // In turns, so that a noisy moment of the machine meets both.
  for (let run = 0; run < ((theirs[0] ?? 0) > LONG_MS ? LONG_RUNS : RUNS); run++) {
    const answer = await asked(rig, sql);
    ours.push(answer.stats.elapsed_ms);
    heldBytes = Math.max(heldBytes, held(answer));
    theirs.push((await timed(() => native.rows(theirSql)))[0]);
  }
  return {
    warmMs: quantile(ours, 0.5),
    nativeMs: quantile(theirs, 0.5),
    bestRatio: Math.min(...ours) / Math.min(...theirs),
    heldBytes,
  };
}

async function measureCold(
  rig: QueryRig,
  paths: readonly string[],
  { sql, native: theirSql }: Statement,
): Promise<Cold> {
  for (let engine = 0; engine < SQL.engines; engine++) await rig.engine(engine).reset();
  const { stats: cold } = await asked(rig, sql);
  const native = await nativeDuckDb(paths);
  const [nativeColdMs] = await timed(() => native.rows(theirSql));
  native.close();
  return { cold, nativeColdMs };
}

/** Under a token of its own each time: no budget is to end the run. */
async function asked(rig: QueryRig, sql: string): Promise<SqlAnswer> {
  const token = randomBytes(32).toString("hex");
  const response = await rig.post({ sql }, { headers: { "x-eventpile-token": token } });
  return { status: response.status, ...((await response.json()) as Omit<SqlAnswer, "status">) };
}

const held = ({ stats }: SqlAnswer): number => stats.heap_bytes + stats.page_bytes;

const HEADER =
  "statement                                       cold ms native  ratio  warm ms native  ratio  waves requests  read MiB read/needed unforeseen held MB";

function line({ name, cold, nativeColdMs, warmMs, nativeMs, heldBytes }: Measured): string {
  return [
    name.padEnd(46),
    cold.elapsed_ms.toFixed(0).padStart(8),
    nativeColdMs.toFixed(0).padStart(6),
    (cold.elapsed_ms / nativeColdMs).toFixed(2).padStart(6),
    warmMs.toFixed(0).padStart(8),
    nativeMs.toFixed(0).padStart(6),
    (warmMs / nativeMs).toFixed(2).padStart(6),
    String(cold.waves).padStart(6),
    String(cold.requests).padStart(8),
    mib(cold.bytes_read).padStart(9),
    (cold.bytes_read / Math.max(1, cold.bytes_needed)).toFixed(2).padStart(11),
    String(cold.fallback_reads).padStart(10),
    (heldBytes / 1e6).toFixed(0).padStart(7),
  ].join(" ");
}

function report(measured: readonly Measured[]): void {
  const mean = (ratioOf: (one: Measured) => number) =>
    Math.exp(measured.reduce((sum, one) => sum + Math.log(ratioOf(one)), 0) / measured.length);
  const sum = (of: (one: Measured) => number) => measured.reduce((total, one) => total + of(one), 0);
  const most = (of: (one: Measured) => number) => Math.max(...measured.map(of));
  const lines: [string, number, number | null, string][] = [
    ["warm, geometric mean of the ratios", mean((one) => one.warmMs / one.nativeMs), 2.5, "x native, one thread"],
    ["the same of the quickest runs", mean((one) => one.bestRatio), 2.5, "x native, one thread"],
    [
      "cold, geometric mean of the ratios",
      mean((one) => one.cold.elapsed_ms / one.nativeColdMs),
      null,
      "x native, first run",
    ],
    [
      "engine ready, median",
      quantile(
        measured.map(({ cold }) => cold.boot_ms),
        0.5,
      ),
      150,
      "ms",
    ],
    ["sequential waves, most", most(({ cold }) => cold.waves), 3, ""],
    [
      "bytes read over needed, all",
      sum(({ cold }) => cold.bytes_read) / sum(({ cold }) => cold.bytes_needed),
      1.3,
      "x",
    ],
    ["DuckDB's heap and pages, most", most(({ heldBytes }) => heldBytes) / 1e6, 100, "MB"],
  ];
  console.log(`\n${measured.length} statements`);
  for (const [what, value, budget, unit] of lines) {
    const verdict = budget === null ? "" : ` (${value <= budget ? "within" : "OVER"} the budget of ${budget})`;
    console.log(`${what.padEnd(36)} ${value.toFixed(2).padStart(8)} ${unit}${verdict}`);
  }
}

async function timed<T>(work: () => Promise<T>): Promise<[ms: number, result: T]> {
  const began = performance.now();
  const result = await work();
  return [performance.now() - began, result];
}

const mib = (bytes: number): string => (bytes / 1_024 / 1_024).toFixed(2);

const shown = (rows: unknown): string => JSON.stringify(rows).slice(0, 2_000);

await main();
