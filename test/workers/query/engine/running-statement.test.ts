import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CountedFiles, RunningStatement } from "../../../../workers/query/engine/running-statement.ts";

const files = {
  names: () => ["a"],
  size: () => 1_000,
  read: (_name: string, at: number, length: number) => new Uint8Array(length).fill(at),
};

describe("how far a statement has come", () => {
  it("is queued until it has its turn, with nothing known of its bytes", () => {
    const statement = new RunningStatement("one", 5_000);
    expect(statement.progress(5_250)).toEqual({
      id: "one",
      state: "queued",
      bytes_planned: 0,
      bytes_read: 0,
      bytes_scanned: 0,
      rows: 0,
      elapsed_ms: 250,
    });
  });

  it("never goes back, never beyond what was planned, and reads what it counts", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(400)), fc.nat(2_000), (lengths, bytesNeeded) => {
        const statement = new RunningStatement("one", 0);
        const counted = new CountedFiles(files, statement);
        statement.runs({ bytesRead: 7, bytesNeeded });
        let sum = 0;
        for (const length of lengths) {
          const before = statement.progress(1).bytes_scanned;
          expect(counted.read("a", 3, length)).toEqual(files.read("a", 3, length));
          sum += length;
          const { state, bytes_read, bytes_planned, bytes_scanned } = statement.progress(1);
          expect({ state, bytes_read, bytes_planned }).toEqual({
            state: "running",
            bytes_read: 7,
            bytes_planned: bytesNeeded,
          });
          expect(bytes_scanned).toBe(Math.min(sum, bytesNeeded));
          expect(bytes_scanned).toBeGreaterThanOrEqual(before);
        }
      }),
    );
  });
});
