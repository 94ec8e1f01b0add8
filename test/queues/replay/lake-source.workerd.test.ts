import { reset } from "cloudflare:test";
import parquet from "parquet-wasm/esm/parquet_wasm_bg.wasm";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { SinkName } from "../../../durable-objects/sink-cursor/api.ts";
import { BarredSubjects } from "../../../queues/fan-out/barred.ts";
import { createLakeRows } from "../../../queues/lake/read-rows.ts";
import { redriveHole } from "../../../queues/quarantine/redrive.ts";
import { beginRead } from "../../../queues/replay/reads.ts";
import { type RowSourceDeps, rowSource } from "../../../queues/replay/source.ts";
import { subjectHasher } from "../../../r2-layout/subjects.ts";
import { drain, real, SHARDS, send } from "./whole-pipeline.ts";

beforeEach(() => {
  for (const level of ["log", "warn", "error"] as const) vi.spyOn(console, level).mockImplementation(() => {});
});
afterEach(async () => {
  vi.restoreAllMocks();
  await reset();
});

const lake = () => real.LAKE_CATALOG.getByName("lake");
const cursor = (sink: SinkName) => real.SINK_CURSOR.getByName(`${sink}:000`);

/** The sink leaves out line 0 of segment 1, which has two; it comes back once all have been drained. */
async function leaveOut(sink: SinkName): Promise<void> {
  const lease = (await (sink === "lake" ? lake().lease(0, "test", 1_000) : cursor(sink).lease("test", 1_000)))!;
  const { key } = (await real.EVENT_LOG.getByName("000").segments(0, 1)).segments[0]!;
  const counts = { lines: [0], of: 2, events: 1, quarantined: 0 };
  const keeper = sink === "lake" ? lake() : cursor(sink);
  expect(await keeper.decide(0, lease.token, 0, { seq: 1, key, ...counts, cause: "step_refused", detail: "" })).toBe(
    true,
  );
  await (sink === "lake" ? lake().release(0, lease.token) : cursor(sink).release(lease.token));
}

const redrive = (sink: SinkName) =>
  redriveHole({ sink, shard: 0, seq: 1 }, null, {
    shards: SHARDS,
    bucket: real.BUCKET,
    logs: real.EVENT_LOG as never,
    barred: new BarredSubjects(subjectHasher("test-identity-key")),
    catalog: lake(),
    cursors: real.SINK_CURSOR,
    send: async () => {},
    now: () => Date.now(),
  });

/** What a rebuild of sessions would be given, where the log has forgotten everything before `oldest`. */
async function rowsOfSessions(oldest: number): Promise<string[]> {
  const log = real.EVENT_LOG.getByName("000");
  const forgetful = {
    between: async () => ({ oldest, head: (await log.status()).head, range: null }),
    rules: () => log.rules(),
    count: (...request: Parameters<typeof log.count>) => log.count(...request),
    async segments(...[after, ...rest]: Parameters<typeof log.segments>) {
      expect(after).toBeGreaterThanOrEqual(oldest - 1);
      return log.segments(after, ...rest);
    },
  };
  const source = rowSource({
    logs: { getByName: () => forgetful } as unknown as RowSourceDeps["logs"],
    bucket: real.BUCKET,
    lakeRows: createLakeRows({ bucket: real.BUCKET, catalog: real.LAKE_CATALOG, parquet }),
    holes: async (sink, shard) => (sink === "lake" ? lake() : cursor(sink)).holes(shard),
    lakeCursor: null,
  });
  const { head } = await log.status();
  const rows: string[] = [];
  for (let after = 0; after < head; ) {
    const read = beginRead({ shard: 0, after, to: head, steps: 0 });
    const { to, origin } = await source.cut(read, "sessions", 100);
    const { events } = await source.rows(read, to, origin, "sessions");
    rows.push(...events.map(({ event_id, log_seq }) => `${event_id} at ${log_seq} from the ${origin}`));
    after = to;
  }
  return rows.sort();
}

it.each<[SinkName[], string[]]>([
  [["sessions"], ["a at 3 from the log", "b at 1 from the lake", "c at 2 from the log"]],
  [["lake"], ["a at 1 from the lake", "b at 1 from the lake", "c at 2 from the log"]],
  [
    ["lake", "sessions"],
    ["a at 4 from the log", "b at 1 from the lake", "c at 2 from the log"],
  ],
  [
    ["sessions", "lake"],
    ["a at 3 from the log", "b at 1 from the lake", "c at 2 from the log"],
  ],
])(
  "promise 4: what %j left out and got back is given once, though the log has forgotten where it stood",
  async (sinks, expected) => {
    await send(0, [{ event_id: "a" }, { event_id: "b" }]);
    for (const sink of sinks) await leaveOut(sink);
    await drain();
    await send(0, [{ event_id: "c" }]);
    for (const sink of sinks) expect(await redrive(sink)).toMatchObject({ ok: true });
    await drain();
    expect(await rowsOfSessions(2)).toEqual(expected);
  },
);
