import { reset } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { BarredSubjects } from "../../../queues/fan-out/barred.ts";
import { type FanOutDeps, fanOut } from "../../../queues/fan-out/fan-out.ts";
import { LOG } from "../../../r2-layout/limits.ts";
import type { Rule } from "../../../r2-layout/rule.ts";
import { decodeSegmentLines } from "../../../r2-layout/segment.ts";
import {
  packPrefixes,
  packSubjects,
  prefixOf,
  type Subject,
  subjectHasher,
  unpackPrefixes,
} from "../../../r2-layout/subjects.ts";
import { bindings } from "../../bindings.ts";
import { batchOf, bodyOf, Fault, type TestMessage } from "../log-rig.ts";

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(async () => {
  vi.restoreAllMocks();
  await reset();
});

const hash = subjectHasher("a key of tests");
const device = (number: number): Subject => ({ kind: "device", id: `device-${number % 7}` });

/** What the edge would send; without `who`, what one of before would. Of quarantined lines it has not looked. */
function bodyWith(message: TestMessage, saysWho: boolean): string {
  const { events, quarantined = [] } = message;
  const named = events.filter((_, line) => !quarantined.includes(line));
  const who = packPrefixes(named.map((event) => prefixOf(hash(device(event)))));
  return bodyOf({ ...message, header: saysWho ? { who } : {} });
}

const ruleOf = (version: number, kind: "erase" | "suppress" | "retract", devices: readonly number[]): Rule => ({
  version,
  id: `rule-${version}`,
  filter:
    kind === "retract" ? { where: { city: ["x"] } } : { subjects: packSubjects(devices.map((n) => hash(device(n)))) },
  change: { kind },
  createdAt: 0,
});

const logOf = (name: string) => bindings.EVENT_LOG.getByName(name);
const raise = (name: string, rule: Rule) => logOf(name).raise(rule, `rules/${rule.version}.json`);

/** The log's lines with their places: each event's number, and what its segment says whom it may name. */
async function linesOf(name: string) {
  const { segments } = await logOf(name).segments(0);
  const found: { seq: number; number: number }[] = [];
  for (const { seq, key, kind } of segments) {
    if (kind === "rule") continue;
    const object = await bindings.BUCKET.get(key);
    for (const line of decodeSegmentLines(new Uint8Array(await object!.arrayBuffer()))) {
      found.push({ seq, number: JSON.parse(line).raw.properties.number });
    }
  }
  return found;
}

function isolate(
  faults: { call?: "put" | "filter" | "commit" | "barred"; fault?: Fault } = {},
  known = new BarredSubjects(hash),
): FanOutDeps {
  const around = <T>(call: string, effect: () => Promise<T>) =>
    faults.fault && faults.call === call ? faults.fault.around(effect) : effect();
  return {
    barred: known,
    bucket: { put: (key, body, options) => around("put", () => bindings.BUCKET.put(key, body, options)) },
    logs: {
      getByName: (name) => {
        const log = logOf(name);
        return {
          filter: (ids, messages) => around("filter", async () => await log.filter(ids, messages)),
          commit: (commit) => around("commit", async () => await log.commit(commit)),
          barred: (after) => around("barred", async () => await log.barred(after)),
        };
      },
    },
  };
}

async function deliver(bodies: readonly string[], deps: FanOutDeps) {
  const { batch, outcomes } = batchOf("events-0", bodies);
  await fanOut(batch, deps);
  return outcomes;
}

const message = { edge: "a", n: 1, before: 0, events: [1, 2, 3, 8] };

describe("people who are kept out (promise 7)", () => {
  it.each(["erase", "suppress"] as const)("%s: lines about them stand nowhere, and are counted", async (kind) => {
    await raise("000", ruleOf(1, kind, [1]));
    expect(await deliver([bodyWith(message, true)], isolate())).toEqual(["ack"]);
    expect((await linesOf("000")).map(({ number }) => number)).toEqual([2, 3]);
    expect(await logOf("000").status()).toMatchObject({
      arrived: 4,
      committed: 2,
      suppressed: 2,
      duplicates: 0,
      gaps: 0,
    });
  });

  it("nothing is written where every line is about them, and the message counts as arrived", async () => {
    await raise("000", ruleOf(1, "erase", [1, 2, 3]));
    expect(await deliver([bodyWith(message, false)], isolate())).toEqual(["ack"]);
    expect((await bindings.BUCKET.list({ prefix: "log/" })).objects).toEqual([]);
    expect(await logOf("000").status()).toMatchObject({ arrived: 4, committed: 0, suppressed: 4, gaps: 0 });
  });

  it("a quarantined line is looked at whatever its message says", async () => {
    await raise("000", ruleOf(1, "erase", [3]));
    await deliver([bodyWith({ ...message, quarantined: [2] }, true)], isolate());
    expect(await logOf("000").status()).toMatchObject({ quarantined: 0, committed: 3, suppressed: 1 });
  });

  it("a rule that is raised between the question and the commit is obeyed: the commit is refused until then", async () => {
    const deps = isolate();
    let raced = false;
    const racing: FanOutDeps = {
      ...deps,
      logs: {
        getByName: (name) => ({
          ...deps.logs.getByName(name),
          commit: async (commit) => {
            if (!raced) await raise(name, ruleOf(1, "erase", [2]));
            raced = true;
            return deps.logs.getByName(name).commit(commit);
          },
        }),
      },
    };
    await deliver([bodyWith(message, true)], racing);
    expect((await linesOf("000")).map(({ number }) => number)).toEqual([1, 3, 8]);
  });

  it("who has no key to their hashes keeps back what may be about them, and loses nothing", async () => {
    await raise("000", ruleOf(1, "erase", [1]));
    const { barred: _, ...keyless } = isolate();
    expect(await deliver([bodyWith(message, true)], keyless)).toEqual(["retry"]);
    expect(await logOf("000").status()).toMatchObject({ arrived: 0 });
    expect(await deliver([bodyWith(message, true)], isolate())).toEqual(["ack"]);
    expect(await logOf("000").status()).toMatchObject({ arrived: 4, suppressed: 2 });
  });

  it("promise 9: rules are told LOG.barredRules at a time, and all of them are learnt", async () => {
    for (let version = 1; version <= LOG.barredRules + 1; version++) {
      await raise(
        "000",
        ruleOf(version, version === 2 ? "retract" : "erase", version === LOG.barredRules + 1 ? [5] : []),
      );
    }
    const { until, rules } = await logOf("000").barred(0);
    expect(rules.length).toBe(LOG.barredRules);
    expect(until).toBe(LOG.barredRules + 1);
    await raise("000", ruleOf(LOG.barredRules + 2, "erase", [6]));
    expect((await logOf("000").barred(0)).until).toBe(LOG.barredRules + 1);
    await deliver([bodyWith({ ...message, events: [4, 5, 6] }, true)], isolate());
    expect((await linesOf("000")).map(({ number }) => number)).toEqual([4]);
  });

  it("a segment's row says whom its events may name, unless one of its messages does not", async () => {
    const commits: (string | undefined)[] = [];
    const deps = isolate();
    const watched: FanOutDeps = {
      ...deps,
      logs: {
        getByName: (name) => ({
          ...deps.logs.getByName(name),
          commit: (commit) => {
            commits.push(commit.segment?.subjects);
            return deps.logs.getByName(name).commit(commit);
          },
        }),
      },
    };
    const other = { edge: "b", n: 1, before: 0, events: [4] };
    await deliver([bodyWith({ ...message, events: [1, 2, 8] }, true), bodyWith(other, true)], watched);
    await deliver(
      [
        bodyWith({ ...message, n: 2, before: 3, events: [11] }, true),
        bodyWith({ ...other, n: 2, before: 1, events: [12] }, false),
      ],
      watched,
    );
    const prefixes = [1, 2, 4].map((n) => prefixOf(hash(device(n))));
    expect(unpackPrefixes(commits[0]!)).toEqual(prefixes.toSorted((a, b) => a - b));
    expect(commits[1]).toBeUndefined();
  });

  it("promises 2 and 3: rules raised at any moment, with repeats, redeliveries and faults: no line above a rule is about them, all others are there once, every sum whole", async () => {
    const reached = { suppressed: 0, fired: 0, below: 0 };
    let shard = 200;
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            edge: fc.constantFrom("a", "b"),
            events: fc.array(fc.nat(30), { minLength: 1, maxLength: 5 }),
            broken: fc.boolean(),
            saysWho: fc.boolean(),
          }),
          { minLength: 2, maxLength: 10 },
        ),
        fc.array(
          fc.oneof(
            fc.record({
              people: fc.array(fc.nat(6), { minLength: 1, maxLength: 2 }),
              kind: fc.constantFrom("erase" as const, "suppress" as const),
            }),
            fc.record({
              pick: fc.array(fc.nat(9), { minLength: 1, maxLength: 6 }),
              isolate: fc.nat(1),
              fault: fc.option(
                fc.record({
                  call: fc.constantFrom("put" as const, "filter" as const, "commit" as const, "barred" as const),
                  when: fc.constantFrom("before" as const, "after" as const),
                  nth: fc.integer({ min: 1, max: 2 }),
                }),
              ),
            }),
          ),
          { minLength: 1, maxLength: 8 },
        ),
        fc.boolean(),
        async (given, steps, atOnce) => {
          const name = String(++shard);
          const counts = new Map<string, { n: number; before: number }>();
          const bodies = given.map(({ edge, events, broken, saysWho }) => {
            const { n, before } = counts.get(edge) ?? { n: 0, before: 0 };
            counts.set(edge, { n: n + 1, before: before + events.length });
            const quarantined = broken ? [0] : [];
            return bodyWith({ edge, n: n + 1, before, events, shard, quarantined }, saysWho);
          });
          const places: { seq: number; people: readonly number[] }[] = [];
          const known = [new BarredSubjects(hash), new BarredSubjects(hash)];
          let version = 0;
          const runs: (() => Promise<unknown>)[] = [];
          for (const step of steps) {
            if ("people" in step) {
              // One after the other, as the desk gives versions out.
              await Promise.all(runs.splice(0).map((run) => run()));
              const { seq } = await raise(name, ruleOf(++version, step.kind, step.people));
              places.push({ seq, people: step.people });
              continue;
            }
            const fault = step.fault && new Fault(step.fault.nth, step.fault.when);
            const deps = isolate(fault && step.fault ? { call: step.fault.call, fault } : {}, known[step.isolate]);
            const run = async () => {
              await deliver(
                step.pick.map((i) => bodies[i % bodies.length]!),
                deps,
              );
              if (fault?.fired) reached.fired++;
            };
            if (atOnce) runs.push(run);
            else await run();
          }
          await Promise.all(runs.map((run) => run()));
          await deliver(bodies, isolate({}, known[0])); // What the queue owes in the end.
          const lines = await linesOf(name);
          for (const { seq, number } of lines) {
            const barredBefore = places.some((rule) => rule.seq < seq && rule.people.includes(number % 7));
            expect(barredBefore, `${number} at ${seq}`).toBe(false);
          }
          const everBarred = new Set(places.flatMap(({ people }) => people));
          const free = given.flatMap(({ events, broken }) =>
            events.flatMap((number, line) => (everBarred.has(number % 7) ? [] : `${number} ${broken && line === 0}`)),
          );
          const there = lines.filter(({ number }) => !everBarred.has(number % 7));
          expect(there.length).toBe(new Set(free).size);
          const status = await logOf(name).status();
          const sent = given.reduce((sum, { events }) => sum + events.length, 0);
          expect(status).toMatchObject({ accepted: sent, arrived: sent, gaps: 0 });
          expect(status.committed + status.quarantined + status.duplicates + status.suppressed).toBe(sent);
          expect(status.committed + status.quarantined).toBe(lines.length);
          reached.suppressed += status.suppressed;
          reached.below += lines.length - there.length;
        },
      ),
      { numRuns: 60 },
    );
    expect(Math.min(reached.suppressed, reached.fired, reached.below)).toBeGreaterThan(5);
  });
});
