import { expect, it, vi } from "vitest";
import { SQL } from "../../../../r2-layout/limits.ts";
import type { StatementStats } from "../../../../workers/query/engine/statement.ts";
import { Outbox } from "../../../../workers/query/results/outbox.ts";
import { type Answer, Sending } from "../../../../workers/query/results/sending.ts";

const STATS = { rows: 1 } as StatementStats;

it("keeps SQL.wholeBytes before it sends anything, and no more where it can be sent in part", () => {
  const sending = new Sending(new Outbox(), { format: "parquet" }, () => {});
  sending.encoder.addFile(new Uint8Array(SQL.wholeBytes));
  expect([sending.isOutgrown, sending.keptBytes]).toEqual([false, SQL.wholeBytes]);
  sending.encoder.addFile(new Uint8Array(1));
  expect(sending.isOutgrown).toBe(true);
  const json = new Sending(new Outbox(), { format: "json" }, () => {});
  json.encoder.addFile(new Uint8Array(SQL.wholeBytes + 1));
  expect(json.isOutgrown).toBe(false);
});

it("what was whole may be sent again; what was sent while it was made may not", async () => {
  const begin = vi.fn<(answer: Answer) => void>();
  const whole = new Sending(new Outbox(), { format: "parquet" }, begin);
  whole.encoder.addFile(new Uint8Array([1, 2]));
  whole.end(STATS);
  const [answer] = begin.mock.calls[0]!;
  expect(answer.whole).toMatchObject({ format: "parquet", bytes: 2 });
  expect(new Uint8Array(await answer.response.arrayBuffer())).toEqual(new Uint8Array([1, 2]));

  const streamed = new Sending(new Outbox(), { format: "parquet" }, begin);
  streamed.encoder.addFile(new Uint8Array([1, 2]));
  streamed.begin(STATS);
  streamed.encoder.addFile(new Uint8Array([3]));
  streamed.end(STATS);
  expect(begin).toHaveBeenCalledTimes(2);
  const [part] = begin.mock.calls[1]!;
  expect(part.whole).toBeNull();
  expect(new Uint8Array(await part.response.arrayBuffer())).toEqual(new Uint8Array([1, 2, 3]));
});
