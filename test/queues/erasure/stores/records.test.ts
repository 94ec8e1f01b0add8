import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import type { ReplayDeskApi } from "../../../../durable-objects/replay-desk/api.ts";
import { PREVIEW_OBJECT, SUBJECTS_OBJECT } from "../../../../queues/erasure/erasure-objects.ts";
import type { ErasureRun, ErasureStep, VerifyStep } from "../../../../queues/erasure/erasure-store.ts";
import { recordsStore } from "../../../../queues/erasure/stores/records.ts";
import { encodeMessage, parseMessage } from "../../../../r2-layout/event-message.ts";
import { ERASURE } from "../../../../r2-layout/limits.ts";
import { placeholderOf, type Subject, subjectHasher } from "../../../../r2-layout/subjects.ts";
import { MapBucket } from "../map-bucket.ts";

const hash = subjectHasher("key");
const ANN: Subject = { kind: "user", id: "ann" };
const MAIL: Subject = { kind: "email", id: "ann@example.com" };
const POISON = "poison/2026-11-22/8200000000000/events-0/01JD0000000000000000000000.bin";

/** `open`: a job that has not ended. `named`: rules and jobs that name a subject until somebody redacts them. */
function rig({ open = "", named = 0 } = {}) {
  const bucket = new MapBucket();
  const left = { logs: named, desk: named };
  const redact = (where: "logs" | "desk") => async (_names: ReadonlyMap<string, string>, isTrial: boolean) => {
    const had = left[where];
    if (!isTrial) left[where] = 0;
    return had;
  };
  const desk = {
    job: async (id: string) => ({ state: id === open ? "running" : "done" }),
    redact: redact("desk"),
  } as unknown as Pick<ReplayDeskApi, "job" | "redact">;
  const store = recordsStore({ bucket, desk, logs: { getByName: () => ({ redactRules: redact("logs") }) } });
  const subjects = [ANN, MAIL];
  const clock = { ms: 0 };
  const run = {
    ...{ id: "erasure-1", subjects, hash, hashes: new Set(subjects.map(hash)), places: [1], untilMs: 0 },
    now: () => clock.ms,
  } as unknown as ErasureRun;
  /** Slice by slice. @returns what all of them found and removed. */
  const erase = async () => {
    let found = 0;
    const keys: string[] = [];
    for (let position: unknown = null; ; ) {
      const step: ErasureStep = await store.erase(run, position);
      found += step.found.found;
      keys.push(...step.found.replaced.map(({ old }) => old));
      if (step.done) return { found, keys };
      position = JSON.parse(JSON.stringify(step.position));
    }
  };
  const verify = async () => {
    for (let position: unknown = null; ; ) {
      const step: VerifyStep = await store.verify(run, position);
      if (step.done) return step;
      position = JSON.parse(JSON.stringify(step.position));
    }
  };
  return { bucket, run, erase, verify };
}

const packed = (value: unknown) => new Uint8Array(gzipSync(JSON.stringify(value)));
const line = (user: string, rest: object = {}) =>
  JSON.stringify({ row: { user_id: user, ...rest }, d: 1, raw: { userId: user } });
const message = (lines: readonly string[]) =>
  encodeMessage({
    header: {
      ...{ v: 1, edge: "e", n: 1, shard: 0, epoch: 0, source: "s", received_at: 1, before: 0 },
      ...{ events: lines.length, ids: Buffer.alloc(16 * lines.length).toString("base64") },
    } as never,
    lines,
  });

describe("the records of an erasure", () => {
  it("promise 7: are found wherever they name a subject, and hold none afterwards", async () => {
    const { bucket, erase, verify } = rig({ named: 2 });
    await bucket.put("jobs/correction-1/pairs/1.json.gz", packed([{ before: { user_id: "ann" } }]));
    await bucket.put("jobs/correction-1/pairs/2.json.gz", packed([{ before: { user_id: "bob" } }]));
    await bucket.put("jobs/audit-1/mail.json.gz", packed([{ properties: { email: "Ann@Example.com" } }]));
    await bucket.put("rules/00000001.json", JSON.stringify({ filter: { where: { user_id: ["ann", "bob"] } } }));
    await bucket.put(POISON, message([line("bob"), line("ann", { page_title: "secret" })]), {
      customMetadata: { cause: "x" },
    });
    await bucket.put(POISON.replace("0.bin", "1.bin"), '{"half": "ann"');
    expect(await verify()).toMatchObject({ traces: 9 });

    expect(await erase()).toMatchObject({ found: 9 });
    expect(await verify()).toMatchObject({ traces: 0 });
    expect(await erase()).toEqual({ found: 0, keys: [] });
    expect([...bucket.objects.keys()].filter((key) => key.startsWith("jobs/"))).toEqual([
      "jobs/correction-1/pairs/2.json.gz",
    ]);
    expect(JSON.parse(bucket.text("rules/00000001.json")!)).toEqual({
      filter: { where: { user_id: [placeholderOf(hash(ANN)), "bob"] } },
    });
  });

  it("keep everybody else's events of a message, and as many lines as it had; the subject's are theirs by a placeholder", async () => {
    const { bucket, erase } = rig();
    await bucket.put(POISON, message([line("bob"), line("ann", { page_title: "secret" })]), {
      customMetadata: { cause: "x" },
    });
    await erase();
    const read = parseMessage(bucket.text(POISON));
    if (!read.ok) throw new Error(read.error.detail);
    expect(read.value.header.events).toBe(2);
    expect(read.value.lines[0]).toBe(line("bob"));
    expect(JSON.parse(read.value.lines[1]!)).toEqual({ row: { user_id: placeholderOf(hash(ANN)) }, d: 0, raw: {} });
    expect((await bucket.get(POISON))!.customMetadata).toEqual({ cause: "x" });
  });

  it("lose a message whole that names a subject and cannot be read", async () => {
    const { bucket, erase } = rig();
    await bucket.put(POISON, 'half" of: "ann", a mess');
    expect(await erase()).toEqual({ found: 1, keys: [POISON] });
    expect(bucket.objects.size).toBe(0);
  });

  it("are not taken from a job that runs: the store fails, and is asked again", async () => {
    const { bucket, erase } = rig({ open: "correction-1" });
    await bucket.put("jobs/correction-1/pairs/1.json.gz", packed([{ before: { user_id: "ann" } }]));
    await expect(erase()).rejects.toThrow("job correction-1 is running");
    expect(bucket.objects.size).toBe(1);
  });

  it("leave to an open erasure whom it is about: its end deletes that", async () => {
    const { bucket, erase, verify } = rig();
    await bucket.put("jobs/erasure-1/pairs/1.json.gz", packed([{ before: { user_id: "ann" } }]));
    for (const name of [PREVIEW_OBJECT, SUBJECTS_OBJECT]) await bucket.put(`jobs/erasure-2/${name}`, packed([ANN]));
    expect(await erase()).toEqual({ found: 0, keys: [] });
    expect(await verify()).toMatchObject({ traces: 0 });
    expect(bucket.objects.size).toBe(3);
  });

  it("are walked ERASURE.recordsListed at a time, to the last of them", async () => {
    const { bucket, erase, verify } = rig();
    const keys = Array.from(
      { length: ERASURE.recordsListed + 1 },
      (_, n) => `rules/${String(n).padStart(8, "0")}.json`,
    );
    for (const key of keys) await bucket.put(key, JSON.stringify({ where: ["ann"] }));
    expect((await erase()).keys).toEqual(keys);
    expect(await verify()).toMatchObject({ traces: 0, done: true });
  });
});
