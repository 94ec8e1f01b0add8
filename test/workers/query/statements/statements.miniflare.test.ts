import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Native, nativeDuckDb } from "../native.ts";
import { type QueryRig, startRig } from "../rig.ts";
import { fillLake } from "./lake.ts";
import { statements } from "./statements.ts";

let rig: QueryRig;
let native: Native;

beforeAll(async () => {
  rig = await startRig();
  const { paths } = await fillLake(rig, { rows: 12_000, users: 300 });
  native = await nativeDuckDb(paths);
});

afterAll(async () => {
  native?.close();
  await rig?.stop();
});

describe("what analysts ask has the answer that native DuckDB gives over the same files", () => {
  const all = statements();

  it("there are at least 60 of them, each with a name of its own", () => {
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
    expect(all.length).toBeGreaterThanOrEqual(60);
  });

  it.each(all)("$name", async ({ sql, native: theirs }) => {
    const [answer, expected] = [await rig.sql(sql), await native.rows(theirs)];
    expect(answer.detail).toBeUndefined();
    // An answer without rows would agree whatever was read.
    expect(expected).not.toEqual([]);
    expect(answer.rows).toEqual(expected);
    expect(answer.stats.fallback_reads).toBe(0);
  });
});
