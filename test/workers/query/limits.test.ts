/** Promise 9 for SQL: each bound at its value and one beyond it. */
import { Field, Int8, makeData, makeVector, RecordBatch, Schema, Struct, Table, tableToIPC, Utf8 } from "apache-arrow";
import { describe, expect, it } from "vitest";
import type { DataFile } from "../../../durable-objects/lake-catalog/api.ts";
import { PLATFORM, SQL } from "../../../r2-layout/limits.ts";
import { answerSql, type QueryParts } from "../../../workers/query/answer-sql.ts";
import { PAGES_MIN_BYTES, pageCapacity, refuseLargeResult } from "../../../workers/query/engine/bounds.ts";
import { EngineChoice } from "../../../workers/query/engine-choice.ts";
import { refuseTooLarge } from "../../../workers/query/estimate/refusal.ts";
import { plainText } from "../../../workers/query/plan/plain-text.ts";
import { planStatement } from "../../../workers/query/plan/plan-statement.ts";
import { Refused } from "../../../workers/query/plan/refusal.ts";
import { RangeCache } from "../../../workers/query/prefetch/range-cache.ts";
import { StatementFailed } from "../../../workers/query/problem.ts";
import { ResultEncoder, type ResultFormat } from "../../../workers/query/results/encode.ts";
import { parse } from "./sql-parser-module.ts";

/** `ok`, or the reason of the refusal. */
function outcome(run: () => unknown): string {
  try {
    run();
    return "ok";
  } catch (error) {
    if (error instanceof Refused) return error.refusal.reason;
    if (error instanceof StatementFailed) return error.problem.reason;
    throw error;
  }
}
const read = (sql: string) => outcome(() => plainText(sql, 0));

describe("a statement", () => {
  it("has SQL.statementBytes bytes and no more", () => {
    const bytes = (count: number) => `select '${"x".repeat(count - "select ''".length)}'`;
    expect(bytes(SQL.statementBytes).length).toBe(SQL.statementBytes);
    expect(read(bytes(SQL.statementBytes))).toBe("ok");
    expect(read(bytes(SQL.statementBytes + 1))).toBe("statement_too_large");
  });

  it("has SQL.statementTokens words and no more", () => {
    // `select`, then values and commas.
    const tokens = (count: number) => `select 1${",1".repeat((count - 2) / 2)}`;
    expect(read(tokens(SQL.statementTokens))).toBe("ok");
    expect(read(`${tokens(SQL.statementTokens)} x`)).toBe("statement_too_complex");
  });

  it("nests SQL.statementDepth brackets and no more", () => {
    const nested = (depth: number) => `select ${"(".repeat(depth)}1${")".repeat(depth)}`;
    // The statement itself is the first level.
    expect(read(nested(SQL.statementDepth - 1))).toBe("ok");
    expect(read(nested(SQL.statementDepth))).toBe("statement_too_complex");
  });

  it("has SQL.statementChain operators in a row, or set operations, and no more", () => {
    const chain = (operators: number) => `select 1${" + 1".repeat(operators)}`;
    const unions = (count: number) => `select 1${" union select 1".repeat(count)}`;
    expect(read(chain(SQL.statementChain))).toBe("ok");
    expect(read(chain(SQL.statementChain + 1))).toBe("statement_too_complex");
    expect(read(unions(SQL.statementChain))).toBe("ok");
    expect(read(unions(SQL.statementChain + 1))).toBe("statement_too_complex");
  });

  it("nests CASE, CAST and the like within SQL.statementWork and no deeper", () => {
    // Word and bracket for each, `select 1` and what is missing at the end.
    const casts = (depth: number, words: number) =>
      `select ${"cast(".repeat(depth)}1${" 1".repeat(words - 2 * depth - 2)}`;
    const most = Math.floor(SQL.statementWork / 2 ** 12);
    expect(read(casts(12, most))).toBe("ok");
    expect(read(casts(12, most + 1))).toBe("statement_too_complex");
    expect(read(casts(13, most))).toBe("statement_too_complex");
    expect(read(`select ${"case when 1 then ".repeat(30)}1`)).toBe("statement_too_complex");
    expect(read(`select ${"position (".repeat(9)}1`)).toBe("statement_too_complex");
    // What is over adds nothing.
    expect(read(`select ${"cast(case when a then b end as int), ".repeat(300)}1`)).toBe("ok");
  });

  it("is read or refused within a test's time, however its mistakes nest: a single one of these took hours", () => {
    for (const word of ["cast(", "case when 1 then ", "position(", "substring(", "array[", "ceil(", "overlay("]) {
      for (const end of ["", "1", "1 2"]) {
        expect(planStatement(parse, `select ${word.repeat(50)}${end}`, 0).ok).toBe(false);
      }
    }
  });

  it("reads SQL.filesPerStatement files and no more", async () => {
    expect((await answer(SQL.filesPerStatement)).status).toBe(200);
    const refused = await answer(SQL.filesPerStatement + 1);
    expect(await refused.json()).toMatchObject({ reason: "too_many_files", limit: { files: SQL.filesPerStatement } });
  });

  it("reads SQL.scanBytes of column data, in SQL.readsPerStatement reads, and no more", () => {
    const estimate = { files: 1, row_groups: 1, bytes: 1, scan_bytes: SQL.scanBytes, requests: 1, dollars: 0 };
    const most = { ...estimate, files: SQL.filesPerStatement, requests: SQL.readsPerStatement };
    expect(outcome(() => refuseTooLarge(most, undefined))).toBe("ok");
    expect(outcome(() => refuseTooLarge({ ...most, scan_bytes: SQL.scanBytes + 1 }, undefined))).toBe("scan_too_large");
    expect(outcome(() => refuseTooLarge({ ...most, requests: SQL.readsPerStatement + 1 }, undefined))).toBe(
      "too_many_reads",
    );
    // What nobody foresaw has room within the platform's own bound.
    expect(SQL.readsPerStatement).toBeLessThan(PLATFORM.subrequests);
  });
});

describe("a result", () => {
  it("has SQL.resultRows rows and no more", () => {
    expect(outcome(() => encode("json", SQL.resultRows, 1))).toBe("ok");
    expect(outcome(() => encode("json", SQL.resultRows + 1, 1))).toBe("result_too_large");
    // Counted over all batches.
    expect(outcome(() => encode("json", SQL.resultRows / 2, 3))).toBe("result_too_large");
  });

  it("has SQL.streamedRows rows and no more where it is sent while it is made", () => {
    expect(outcome(() => encode("arrow", SQL.streamedRows / 100, 100))).toBe("ok");
    expect(outcome(() => encode("arrow", SQL.streamedRows / 100 + 1, 100))).toBe("result_too_large");
  });

  it("has SQL.resultBytes bytes and no more", () => {
    const around = encodeText("json", 0);
    expect(outcome(() => encodeText("json", SQL.resultBytes - around))).toBe("ok");
    expect(encodeText("json", SQL.resultBytes - around)).toBe(SQL.resultBytes);
    expect(outcome(() => encodeText("json", SQL.resultBytes - around + 1))).toBe("result_too_large");
  });

  it("has SQL.streamedBytes bytes and no more where it is sent while it is made", () => {
    const message = (rows: number) => encodeMessages(MESSAGE_BYTES, rows);
    const [schema, one] = [message(0), message(1) - message(0)];
    const most = Math.floor((SQL.streamedBytes - schema) / one);
    expect(outcome(() => message(most))).toBe("ok");
    expect(outcome(() => message(most + 1))).toBe("result_too_large");
  });
});

describe("memory (promise 10)", () => {
  it("heap, result and the fewest pages take SQL.engineBytes together and no more", () => {
    const heap = SQL.heapBytes;
    const result = SQL.engineBytes - heap - PAGES_MIN_BYTES;
    expect(outcome(() => refuseLargeResult(heap, result))).toBe("ok");
    expect(outcome(() => refuseLargeResult(heap, result + 1))).toBe("memory_exceeded");
  });

  it("pages take SQL.prefetchBytes, less where heap and result need the room, and a cache holds no more than it is told", () => {
    const free = SQL.engineBytes - SQL.prefetchBytes;
    expect(pageCapacity(free, 0)).toBe(SQL.prefetchBytes);
    expect(pageCapacity(free + 1, 0)).toBe(SQL.prefetchBytes - 1);
    expect(pageCapacity(0, 0)).toBe(SQL.prefetchBytes);
    const cache = new RangeCache();
    for (let block = 0; block < 4; block++) cache.add("f", block * 1_000, new Uint8Array(1_000));
    cache.shrinkTo(4_000);
    expect(cache.bytes).toBe(4_000);
    cache.shrinkTo(3_999);
    expect(cache.bytes).toBe(3_000);
    expect(cache.find("f", 0, 1)).toBeNull();
  });

  it("DuckDB may count SQL.queryBytes as its own, its heap grows to SQL.heapBytes, and an isolate has room for both", () => {
    expect(SQL.queryBytes).toBeLessThan(SQL.heapBytes);
    expect(SQL.heapBytes).toBeLessThan(SQL.engineBytes);
    // A sixteenth more is what JavaScript needs around it.
    expect(SQL.engineBytes + 16 * 1_024 * 1_024).toBeLessThanOrEqual(100 * 1_024 * 1_024);
    expect(PLATFORM.simultaneousConnections).toBe(6);
  });
});

/** One statement over so many files. */
function answer(files: number): Promise<Response> {
  const file = (id: number) =>
    ({ id, key: `lake/${id}`, bytes: 1, rows: 1, minTime: 0, maxTime: 1 }) as unknown as DataFile;
  const allowed = async () => ({ allowed: true, bound: null, retry_after_s: 0 }) as const;
  const parts: QueryParts = {
    parse,
    choice: new EngineChoice(1),
    catalog: {
      plan: async () => ({
        snapshot: 1,
        files: Array.from({ length: files }, (_, i) => file(i)),
        tableFiles: files,
        tableBytes: files,
      }),
    },
    engine: () => ({
      run: async () => new Response("{}", { headers: { "x-eventpile-stats": '{"bytes_read":1}' } }),
      cancel: async () => {},
      progress: async () => null,
      settled: async () => null,
      recall: async () => null,
      status: async () => ({ statements: 0, boots: 0, guests: 0, ticks: 0, heap_bytes: 0, page_bytes: 0 }),
      reset: async () => {},
    }),
    budget: () => ({ begin: allowed, end: allowed, find: async () => ({ statement: null }) }),
    timeoutMs: 1_000,
    cache: true,
    later: () => {},
  };
  const headers = { "x-eventpile-token": "ab".repeat(32) };
  return answerSql(
    parts,
    new Request("http://query/v1/sql", { method: "POST", body: '{"sql":"select count(*) from events"}', headers }),
  );
}

type Bytes = Uint8Array<ArrayBuffer>;
const BYTE = new Schema([new Field("n", new Int8())]);

function encode(format: ResultFormat, rows: number, batches: number): ResultEncoder {
  const encoder = new ResultEncoder(format, () => {});
  encoder.add(tableToIPC(new Table(BYTE)) as Bytes);
  const column = makeData({ type: new Int8(), data: new Int8Array(rows) });
  const batch = new RecordBatch(BYTE, makeData({ type: new Struct(BYTE.fields), length: rows, children: [column] }));
  const message = message1(tableToIPC(new Table([batch])) as Bytes);
  for (let i = 0; i < batches; i++) encoder.add(message);
  return encoder;
}

/** An IPC stream without its schema and end: the record batch's message, as DuckDB hands it over. */
function message1(stream: Bytes): Bytes {
  const view = new DataView(stream.buffer, stream.byteOffset);
  const schemaBytes = 8 + view.getInt32(4, true);
  return stream.slice(schemaBytes, stream.length - 8);
}

const MESSAGE_BYTES = 32 * 1_024 * 1_024;
const encodeMessages = (chars: number, rows: number): number => encodeTexts("arrow", chars, rows);
/** The bytes of an answer with one text of so many characters. */
const encodeText = (format: ResultFormat, chars: number): number => encodeTexts(format, chars, 1);

function encodeTexts(format: ResultFormat, chars: number, rows: number): number {
  const vector = makeVector(
    makeData({ type: new Utf8(), valueOffsets: new Int32Array([0, chars]), data: new Uint8Array(chars).fill(120) }),
  );
  const stream = tableToIPC(new Table({ text: vector })) as Bytes;
  const encoder = new ResultEncoder(format, () => {});
  const view = new DataView(stream.buffer, stream.byteOffset);
  encoder.add(stream.slice(0, 8 + view.getInt32(4, true)));
  const message = message1(stream);
  for (let row = 0; row < rows; row++) encoder.add(message);
  return encoder.bytes;
}
