import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import wabt from "wabt";

const FOLDER = join(import.meta.dirname, "../../../../workers/query/engine");
const bytes = readFileSync(join(FOLDER, "clock-gate.wasm"));

interface Gate {
  now(): number;
  every: { value: number };
  left: { value: number };
}

/** The clock moves with each look at it, by one for plain ones and by a hundred for ticks. */
function gate(): Gate {
  let at = 0;
  // The types of this project are a Worker's, which has no module from bytes.
  const module = new (WebAssembly.Module as unknown as new (bytes: Uint8Array) => WebAssembly.Module)(bytes);
  const clock = {
    now: () => {
      at += 1;
      return at;
    },
    tick: () => {
      at += 100;
      return at;
    },
  };
  return new WebAssembly.Instance(module, { clock }).exports as unknown as Gate;
}

describe("the gate between DuckDB and the clock", () => {
  it("is what its text says", async () => {
    const { parseWat } = await wabt();
    const text = readFileSync(join(FOLDER, "clock-gate.wat"), "utf8");
    const assembled = parseWat("clock-gate.wat", text).toBinary({}).buffer;
    expect(Buffer.from(assembled).equals(bytes), "assemble it anew: wat2wasm clock-gate.wat").toBe(true);
  });

  it("asks the clock each time while nothing may be interrupted", () => {
    const { now } = gate();
    expect([now(), now(), now()]).toEqual([1, 2, 3]);
  });

  it("ticks at once and then at every so many calls, and stands still between", () => {
    const { now, every, left } = gate();
    now();
    every.value = 3;
    left.value = 0;
    expect(Array.from({ length: 7 }, now)).toEqual([101, 101, 101, 201, 201, 201, 301]);
    every.value = 0;
    expect([now(), now()]).toEqual([302, 303]);
  });
});
