import { expect, it } from "vitest";
import { beginRead, type ReadState } from "../../../queues/replay/reads.ts";
import type { Slice } from "../../../queues/replay/slice.ts";
import type { RowSource } from "../../../queues/replay/source.ts";
import { walkReads } from "../../../queues/replay/walk-reads.ts";

const slice = { over: false, count: () => {}, makeRoom: async () => {} } as unknown as Slice;
const source = {
  cut: async ({ to }: ReadState) => ({ to, origin: "log" }),
  rows: async () => ({ events: [], quarantine: [], rules: 0 }),
} as unknown as RowSource;

it("saves nothing once all is read: a job that comes by again has made no progress (promise 9)", async () => {
  const saved: (readonly ReadState[])[] = [];
  const walk = {
    ...({ sink: "sessions", maxEvents: 10 } as const),
    apply: async () => undefined,
    save: async (reads: readonly ReadState[]) => {
      saved.push([...reads]);
    },
  };
  const first = await walkReads(slice, source, [beginRead({ shard: 0, after: 3, to: 7, steps: 0 })], walk);
  expect(first).toMatchObject({ done: true, reads: [{ after: 7, done: true }] });
  expect(saved.map(([read]) => read!.done)).toEqual([false, true]);
  expect(await walkReads(slice, source, first.reads, walk)).toEqual(first);
  expect(saved).toHaveLength(2);
});
