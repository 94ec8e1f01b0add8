import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import type { Redrive } from "../../../../durable-objects/event-log/api.ts";
import type { EventLog } from "../../../../durable-objects/event-log/event-log.ts";
import { BarredSubjects } from "../../../../queues/fan-out/barred.ts";
import { readLog } from "../../../../queues/read-log.ts";
import { idHash } from "../../../../r2-layout/event-id.ts";
import { LOG } from "../../../../r2-layout/limits.ts";
import { formatLogLine, type LogLine } from "../../../../r2-layout/log-line.ts";
import type { Rule } from "../../../../r2-layout/rule.ts";
import { encodeSegment } from "../../../../r2-layout/segment.ts";
import { SINKS } from "../../../../r2-layout/sinks.ts";
import { packSubjects, subjectHasher } from "../../../../r2-layout/subjects.ts";
import { parseCause } from "../../../../workers/edge/violations/cause.ts";
import { Mender } from "../../../../workers/edge/violations/mended-line.ts";
import { type QuarantinedPlace, type ReleaseLog, release } from "../../../../workers/edge/violations/release.ts";

const { BUCKET: bucket, EVENT_LOG: logs } = env as unknown as {
  readonly BUCKET: R2Bucket;
  readonly EVENT_LOG: DurableObjectNamespace<EventLog>;
};
afterEach(() => reset());

const NOW = Date.now();
const log = () => logs.getByName("000");
const contract = (version: number, required: readonly string[]) =>
  JSON.stringify({
    "x-event": "Paid",
    "x-version": version,
    "x-owner": "shop@example.com",
    description: "Somebody has paid.",
    type: "object",
    properties: { total: { type: "number" }, coupon: { type: "string" } },
    required,
  });
const mender = () => new Mender("Paid", 3, contract(3, ["total"]));
const cause = parseCause({ event: "Paid", field: "properties.coupon" }, NOW);

const hash = subjectHasher("a key of tests");

const MARK = { cause: "contract_violated", field: "properties.coupon", expected: "required", actual: "nothing" };
const line = (id: string, total: unknown = 10, q: LogLine["q"] | null = MARK): LogLine => ({
  row: {
    event_id: id,
    event_name: "Paid",
    event_type: "track",
    source: "shop",
    event_time: NOW * 1_000,
    received_at: NOW * 1_000 - 1,
    user_id: "ada",
    ...(q ? {} : { properties: { total: String(total) } }),
  } as LogLine["row"],
  d: 1,
  ...(q && { q }),
  raw: { type: "track", event: "Paid", messageId: id, userId: "ada", properties: { total } },
});

let objects = 0;
/** As the fan-out commits it. @returns its place */
async function commit(lines: readonly LogLine[]): Promise<QuarantinedPlace> {
  const key = `log/dt=2026-11-22/shard=000/01KC${String(++objects).padStart(22, "0")}.ndjson.gz`;
  const body = encodeSegment(lines.map(formatLogLine));
  await bucket.put(key, body);
  const ids = new Uint8Array(lines.length * 16);
  for (const [i, { q, row }] of lines.entries())
    ids.set(idHash(q ? "quarantine" : "event", "shop", row.event_id), i * 16);
  const quarantined = lines.filter(({ q }) => q).length;
  const times = { minReceivedAt: NOW * 1_000 - 1, maxReceivedAt: NOW * 1_000 - 1, writtenAt: Date.now() };
  const segment = { key, bytes: body.byteLength, events: lines.length, quarantined, ...times };
  const answer = await log().commit({ epoch: 0, segment, ids, messages: [] });
  if (answer.kind !== "committed") throw new Error(answer.kind);
  return { shard: 0, seq: answer.seq! };
}

/** What a sink of the shard has when it has read it all. */
async function stored() {
  const reads = readLog({ shard: 0, after: 0, to: 1_000 }, { logs, bucket, hash }, { sink: "lake" });
  const steps = await Array.fromAsync(reads);
  return {
    events: steps.flatMap(({ events }) => events.map(({ event_id }) => event_id)).toSorted(),
    quarantine: steps.flatMap(({ quarantine }) => quarantine.map(({ event_id }) => event_id)).toSorted(),
  };
}

/** Cuts off a number of times, before or after what is asked of the log was done. */
function cutting(cuts: ("before" | "after")[]): typeof logs {
  const cut: ReleaseLog = {
    segments: (...asked) => log().segments(...asked),
    barred: (after) => log().barred(after),
    redrive: async (redrive) => {
      const when = cuts.shift();
      if (when === "before") throw new Error("injected");
      const answer = await log().redrive(redrive);
      if (when === "after") throw new Error("injected");
      return answer;
    },
  };
  return { getByName: () => cut } as unknown as typeof logs;
}

const deps = { bucket, logs, barred: new BarredSubjects(hash), now: Date.now };

describe("a release", () => {
  it("gives back what is of its cause and keeps to the version, and leaves the rest where it is (promise 1)", async () => {
    const other = { ...MARK, field: "properties.total" };
    const place = await commit([
      line("one"),
      line("other", 10, other),
      line("text", "ten"),
      line("column", 10, { cause: "wrong_type", field: "event" }),
      line("well", 10, null),
      line("two"),
    ]);
    await bucket.delete((await log().segments((await commit([line("lost")])).seq - 1, 1)).segments[0]!.key);
    const lost = { shard: 0, seq: place.seq + 1 };
    const { still_refused, ...done } = await release(deps, [place, lost], cause, mender());
    expect(done).toEqual({
      looked_at: 3,
      released: 2,
      released_before: 0,
      sent_again: 0,
      unreadable: [lost],
      last: lost,
    });
    expect(still_refused.groups).toMatchObject([{ field: "properties.total", expected: 'type "number"', events: 1 }]);
    const { segments } = await log().segments(lost.seq, 1, "lake");
    expect(segments).toMatchObject([{ kind: "redrive", events: 2, quarantined: 0 }]);
    const [row] = (
      await Array.fromAsync(readLog({ shard: 0, after: lost.seq, to: 1_000 }, deps, { sink: "lake" }))
    ).flatMap(({ events }) => events);
    expect(row).toMatchObject({ event_id: "one", contract_version: 3, properties: { total: "10" }, user_id: "ada" });
  });

  it("brings nothing whose sender has sent it again, right", async () => {
    const place = await commit([line("again"), line("only")]);
    await commit([line("again", 12, null)]);
    expect(await release(deps, [place], cause, mender())).toMatchObject({ released: 1, sent_again: 1 });
    expect((await stored()).events).toEqual(["again", "only"]);
    expect(await release(deps, [place], cause, mender())).toMatchObject({
      released: 0,
      released_before: 1,
      sent_again: 1,
    });
  });

  it("promise 7: brings back nothing about somebody who was erased, whenever the rule came", async () => {
    const place = await commit([line("one"), line("two")]);
    const rule = (version: number, id: string): Rule => ({
      version,
      id: `rule-${version}`,
      filter: { subjects: packSubjects([hash({ kind: "user", id })]) },
      change: { kind: "erase" },
      createdAt: 0,
    });
    await log().raise(rule(1, "nobody"), "rules/1.json");
    let raced = false;
    const racing = {
      getByName: () => ({
        ...cutting([]).getByName("000"),
        redrive: async (redrive: Redrive) => {
          if (!raced) await log().raise(rule(2, "ada"), "rules/2.json");
          raced = true;
          return log().redrive(redrive);
        },
      }),
    } as unknown as typeof logs;
    expect(
      await release({ ...deps, barred: new BarredSubjects(hash), logs: racing }, [place], cause, mender()),
    ).toMatchObject({ released: 0 });
    expect((await stored()).events).toEqual([]);
  });

  it("writes its segment again where the log holds it for too old", async () => {
    const place = await commit([line("one")]);
    const clocks = [0, LOG.staleSegmentMs + 1];
    const now = () => Date.now() - (clocks.pop() ?? 0);
    expect(await release({ ...deps, now }, [place], cause, mender())).toMatchObject({ released: 1 });
    expect((await stored()).events).toEqual(["one"]);
  });

  it("promises 2 and 3: cut off before or after its commit, twice, or two at once, each event comes once, and the record stays", async () => {
    const when = fc.constantFrom("before" as const, "after" as const);
    let cuts = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
        fc.array(when, { maxLength: 3 }),
        fc.boolean(),
        async (sizes, planned, atOnce) => {
          await reset();
          let n = 0;
          const places: QuarantinedPlace[] = [];
          for (const size of sizes) places.push(await commit(Array.from({ length: size }, () => line(`e${++n}`))));
          const ids = Array.from({ length: n }, (_, i) => `e${i + 1}`).toSorted();
          const left = [...planned];
          for (let tries = 0; ; tries++) {
            const once = () => release({ ...deps, logs: cutting(left) }, places, cause, mender());
            const done = await Promise.allSettled(atOnce ? [once(), once()] : [once()]);
            if (done.every(({ status }) => status === "fulfilled")) break;
            cuts++;
            expect(tries).toBeLessThan(planned.length);
          }
          expect(await stored()).toEqual({ events: ids, quarantine: ids });
          expect(await release(deps, places, cause, mender())).toMatchObject({ released: 0, released_before: n });
          expect(await log().status()).toMatchObject({ committed: n, quarantined: 0 });
          for (const sink of SINKS) expect(await log().count(0, 1_000, sink)).toEqual({ events: n, quarantined: n });
        },
      ),
      { numRuns: 15, examples: [[[2, 1], ["after", "before"], true]] },
    );
    expect(cuts).toBeGreaterThan(0);
  });
});
