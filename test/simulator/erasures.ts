/**
 * People who are erased or kept out while a run goes on, beside all that its seed draws (`--erasures`): asked for and
 * confirmed as the edge does it, carried out by the pipeline and every store. Their clients go on sending. Drawn from a chance
 * of its own, so that a seed without them stays the run that it is.
 */
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { type ErasureSpec, REPLAY_DESK_NAME, type ReplayDeskApi } from "../../durable-objects/replay-desk/api.ts";
import { SUBJECTS_OBJECT } from "../../queues/erasure/erasure-objects.ts";
import { type JobBucket, JobStore } from "../../queues/replay/job-store.ts";
import { lineNames } from "../../r2-layout/line-subjects.ts";
import { barsLines, type Rule } from "../../r2-layout/rule.ts";
import { isPlaceholder, type Subject, subjectHasher, unpackSubjects } from "../../r2-layout/subjects.ts";
import { Random } from "../../scripts/demo/random.ts";
import type { Fail } from "./audit.ts";
import type { LogModel } from "./log-model.ts";
import { Process } from "./platform/scheduler.ts";
import { IDENTITY_KEY, type World } from "./world.ts";

const SECOND_MS = 1_000;
const ERASURES_MAX = 2;
const RANDOM_OF_KEY = 16 + ".ndjson.gz".length;

interface ErasureBindings {
  readonly REPLAY_DESK: ObjectNamespace<ReplayDeskApi>;
  readonly BUCKET: JobBucket;
}

export function planErasures(world: World, seed: number): void {
  const random = new Random(seed ^ 0xe7a5e);
  for (let n = random.int(1, ERASURES_MAX); n > 0; n--) {
    const id = `erasure-${n}`;
    const mode = random.chance(0.7) ? "erase" : "suppress";
    const people: Subject[] = [];
    while (people.length === 0) {
      for (let i = 0; i < 4; i++) {
        if (random.chance(0.3)) people.push({ kind: "user", id: `user-${i}` });
        if (random.chance(0.3)) people.push({ kind: "device", id: `device-${i}` });
      }
    }
    world.pending++;
    const begin = (inMs: number): void => {
      const process = new Process(`who asks for ${id}`);
      let over = false;
      const next = (more: boolean) => {
        if (over) return;
        over = true;
        if (more) begin(random.next() * 30 * SECOND_MS);
        else world.pending--;
      };
      process.onDeath.push(() => next(true));
      world.scheduler.after(inMs, process, process.name, () => {
        ask(world.bindings("edge", process) as unknown as ErasureBindings, id, mode, people).then(
          () => {
            world.weather.count("operation", mode);
            next(false);
          },
          () => next(true),
        );
      });
    };
    begin(random.next() * random.pick([5, 30, 300]) * SECOND_MS);
  }
}

async function ask(
  { REPLAY_DESK, BUCKET }: ErasureBindings,
  id: string,
  mode: ErasureSpec["mode"],
  people: readonly Subject[],
): Promise<void> {
  const desk = REPLAY_DESK.getByName(REPLAY_DESK_NAME);
  const spec: ErasureSpec = { kind: "erasure", mode, identifiers: people.length, rate: 1_000_000 };
  const job = await desk.job(id);
  if (!job) await desk.create({ id, spec });
  if (job && job.state !== "preview") return;
  // Written once: a job that goes on reads it, and deletes it at its end.
  await new JobStore(BUCKET, id).put(SUBJECTS_OBJECT, people);
  await desk.act(id, "confirm");
}

const hash = subjectHasher(IDENTITY_KEY);

/**
 * Whether a line is about somebody whom a rule below this place keeps out; without a place, whom any rule does.
 * @param byRules absent: those that keep somebody out
 */
export function isBarred(
  { rules }: LogModel,
  byRules: (rule: Rule) => boolean = barsLines,
): (line: string, place?: { shard: number; seq: number }) => boolean {
  const barring = rules
    .filter(byRules)
    .map(({ filter, places }) => ({ people: unpackSubjects(filter.subjects ?? ""), places }));
  return (line, place) =>
    barring.some(
      ({ people, places }) =>
        (!place || (places.get(place.shard) ?? 0) < place.seq) &&
        lineNames(line, (one) => !isPlaceholder(one.id) && people.has(hash(one))),
    );
}

/**
 * No line above a rule is about somebody whom it keeps out, but what was accepted below a suppression and has come back; and
 * since every erasure is done by now, no line at all is about somebody whom one has erased. An object that went bad
 * may have come back out of a backup since.
 */
export function auditBarred({ damaged }: World, model: LogModel, fail: Fail): void {
  const barred = isBarred(model);
  const erased = isBarred(model, ({ change }) => change.kind === "erase");
  // By the time in its key, which a segment that is written anew keeps.
  const timeOf = (key: string) => key.slice(0, -RANDOM_OF_KEY);
  const times = new Set(Array.from(damaged, timeOf));
  const bad = new Set(
    model.segments.filter(({ key }) => times.has(timeOf(key))).map(({ shard, seq }) => `${shard}/${seq}`),
  );
  for (const { shard, seq, text, redrive } of model.lines) {
    if (bad.has(`${shard}/${seq}`)) continue;
    if (!redrive && barred(text, { shard, seq })) fail(`log ${shard}/${seq}: about somebody who is kept out: ${text}`);
    else if (erased(text)) fail(`log ${shard}/${seq}: about somebody who was erased: ${text}`);
  }
}
