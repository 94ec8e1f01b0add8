/**
 * Segments that go bad: an object that is lost, cut, or has a line that cannot be read. Some are mended later, as from a
 * backup; then an operator sends the holes again that sinks have made of them.
 */
import type { EventLogApi, EventLogRedriveApi } from "../../durable-objects/event-log/api.ts";
import { LAKE_CATALOG_NAME } from "../../durable-objects/lake-catalog/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { type HolesApi, SINKS, type SinkName } from "../../durable-objects/sink-cursor/api.ts";
import { BarredSubjects } from "../../queues/fan-out/barred.ts";
import { holeKeeper } from "../../queues/quarantine/list.ts";
import { type RedriveDeps, redriveHole } from "../../queues/quarantine/redrive.ts";
import { decodeSegmentLines, encodeSegment } from "../../r2-layout/segment.ts";
import { subjectHasher } from "../../r2-layout/subjects.ts";
import type { Random } from "../../scripts/demo/random.ts";
import { Process } from "./platform/scheduler.ts";
import type { Scenario } from "./scenarios.ts";
import { IDENTITY_KEY, type World } from "./world.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;

interface Env {
  readonly BUCKET: RedriveDeps["bucket"];
  readonly EVENT_LOG: ObjectNamespace<EventLogApi & EventLogRedriveApi>;
  readonly SINK_CURSOR: ObjectNamespace<HolesApi>;
  readonly LAKE_CATALOG: ObjectNamespace<HolesApi>;
}

type Ways = Pick<Scenario, "damageTaken" | "damageUnread" | "identities" | "redriveEveryMs">;

/**
 * A segment goes bad some time, and is mended later: from its writing on, or when some sinks may have taken it.
 * @param way its chances: `damageTaken`, that it is the one that a drain has read when a call of it hangs: its cursor has not
 * moved (and, where corrections are about `identities`, that it has read it through a rule); `damageUnread`, that it is one of the newest some time after a call of the live sessions has hung, and they all do
 */
export function planDamage(
  world: World,
  random: Random,
  spanMs: number,
  { damageTaken, damageUnread, identities, redriveEveryMs }: Ways,
): void {
  const way = random.chance(damageUnread)
    ? "unread"
    : random.chance(damageTaken)
      ? "taken"
      : random.pick(["any", "next"] as const);
  afterMs(world, random.next() * spanMs, () => {
    const { bucket, weather } = world;
    const written = [...bucket.objects.keys()].filter((key) => key.startsWith("log/") && !world.damaged.has(key));
    if (way === "any" && written.length > 0) return damage(world, random, random.pick(written));
    if (way === "unread") {
      weather.onHang = (from) => {
        if (!from.startsWith("sessions#")) return;
        weather.onHang = null;
        afterMs(world, random.int(40, 100) * SECOND_MS, () => {
          const keys = [...bucket.objects.keys()].filter((key) => key.startsWith("log/") && !world.damaged.has(key));
          const nameOf = (key: string) => key.slice(key.lastIndexOf("/"));
          const newest = keys.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1)).slice(-3);
          if (newest.length > 0) damage(world, random, random.pick(newest), [40 * MINUTE_MS]);
        });
      };
      return;
    }
    if (way === "taken") {
      const sink = identities || redriveEveryMs ? "sessions" : random.pick(["sessions", "rollups"]);
      const isEarly = () => identities && ![...bucket.objects.keys()].some((key) => key.startsWith("rules/"));
      weather.onHang = (from) => {
        if (isEarly()) return;
        const key = bucket.lastRead.get(from);
        if (!from.startsWith(`${sink}#`) || !key || world.damaged.has(key) || !bucket.objects.has(key)) return;
        weather.onHang = null;
        damage(world, random, key, redriveEveryMs ? [3 * MINUTE_MS] : [5 * MINUTE_MS, 40 * MINUTE_MS]);
      };
      return;
    }
    bucket.onPut = (key) => {
      if (!key.startsWith("log/")) return;
      bucket.onPut = null;
      damage(world, random, key);
    };
  });
}

function damage(
  world: World,
  random: Random,
  key: string,
  mendedInMs = [20 * SECOND_MS, 5 * MINUTE_MS, 40 * MINUTE_MS],
): void {
  const object = world.bucket.objects.get(key)!;
  world.originals.set(key, object.bytes);
  world.damaged.add(key);
  const kind = random.pick(["lost", "cut", "line"] as const);
  world.weather.count("damage", kind);
  if (kind === "lost") world.bucket.objects.delete(key);
  else {
    const bytes = kind === "cut" ? cut(object.bytes) : withBadLine(object.bytes, random);
    world.bucket.objects.set(key, { ...object, bytes });
  }
  afterMs(world, random.pick(mendedInMs), () => {
    world.bucket.objects.set(key, object);
  });
}

const cut = (bytes: Uint8Array) => bytes.slice(0, Math.max(1, bytes.length - 20));

function withBadLine(bytes: Uint8Array, random: Random): Uint8Array {
  const lines = decodeSegmentLines(bytes);
  lines[random.int(0, lines.length - 1)] = '{"row":{"event_id":';
  return encodeSegment(lines);
}

/** Sends every open hole again, by a process that may fail or die; then it comes back. */
export function planRedrives(world: World, random: Random, delayMs: number, rounds: number): void {
  afterMs(world, delayMs, () => {
    const process = new Process("redriver");
    world.pending++;
    let over = false;
    const end = (again: boolean) => {
      if (over) return;
      over = true;
      world.pending--;
      if (again && rounds > 1) planRedrives(world, random, random.int(1, 90) * SECOND_MS, rounds - 1);
    };
    process.onDeath.push(() => end(true));
    world.scheduler.after(0, process, "redrives", () => {
      redriveAll(world, world.bindings("pipeline", process) as unknown as Env).then(
        () => end(false),
        () => end(true),
      );
    });
  });
}

/** What was left out and has not come back, in all sinks. */
export function openHoles(world: World): Promise<number> {
  return world.ask(async (bindings) => {
    let open = 0;
    for await (const _ of holesOf(world, depsOf(world, bindings as unknown as Env))) open++;
    return open;
  });
}

async function redriveAll(world: World, env: Env): Promise<void> {
  const deps = depsOf(world, env);
  for await (const hole of holesOf(world, deps)) {
    const answer = await redriveHole(hole, null, deps);
    world.weather.count("redrive", answer?.ok ? "done" : `refused: ${answer?.error.cause}`);
    // Of one that was cut off the next is told what it has brought, and closes the hole.
    if (!world.weather.active && answer && !answer.ok && answer.error.cause === "redriven") {
      world.complaints.push(
        `${hole.sink}: the hole at ${hole.shard}/${hole.seq} is open although its lines have come back`,
      );
    }
  }
}

async function* holesOf(world: World, deps: RedriveDeps) {
  for (let shard = 0; shard < world.shards; shard++) {
    for (const sink of SINKS satisfies readonly SinkName[]) {
      for (const { seq, redrivenAs } of await holeKeeper(deps, sink, shard).holes(shard)) {
        if (redrivenAs === null) yield { sink, shard, seq };
      }
    }
  }
}

function depsOf(world: World, env: Env): RedriveDeps {
  return {
    bucket: env.BUCKET,
    logs: env.EVENT_LOG,
    barred: new BarredSubjects(subjectHasher(IDENTITY_KEY)),
    cursors: env.SINK_CURSOR,
    catalog: env.LAKE_CATALOG.getByName(LAKE_CATALOG_NAME),
    send: async () => {
      throw new Error("holes are not messages");
    },
    shards: world.shards,
    now: () => Date.now(),
  };
}

function afterMs(world: World, delayMs: number, run: () => void): void {
  world.pending++;
  world.scheduler.after(delayMs, null, "damage", () => {
    world.pending--;
    run();
  });
}
