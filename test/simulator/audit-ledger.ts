/** The ledger against the messages that the queues really took, and the lines that are in the log. */
import { type Ledger, readLedger } from "../../durable-objects/event-log/ledger.ts";
import type { SinkName } from "../../durable-objects/sink-cursor/api.ts";
import { SINKS } from "../../durable-objects/sink-cursor/api.ts";
import { type MessageHeader, parseMessage } from "../../r2-layout/event-message.ts";
import { barsLines } from "../../r2-layout/rule.ts";
import type { AuditEnv, Fail, LeftOut } from "./audit.ts";
import type { LogModel } from "./log-model.ts";
import type { Traffic } from "./traffic.ts";
import type { World } from "./world.ts";

export function ledgerOf(env: AuditEnv, shards: number): Promise<Ledger> {
  return readLedger({ logs: env.EVENT_LOG, cursors: env.SINK_CURSOR, catalog: env.LAKE_CATALOG, shards });
}

export async function auditLedger(
  world: World,
  env: AuditEnv,
  traffic: Traffic,
  model: LogModel,
  leftOut: Readonly<Record<SinkName, LeftOut>>,
  fail: Fail,
): Promise<void> {
  const ledger = await ledgerOf(env, world.shards);
  if (!ledger.balanced) fail(`ledger: not balanced: ${JSON.stringify(ledger)}`);
  let duplicates = 0;
  for (const { shard, ...found } of ledger.shards) {
    const own = model.lines.filter((line) => line.shard === shard && !line.redrive);
    const events = own.filter(({ quarantined }) => !quarantined).length;
    const quarantined = own.length - events;
    const { accepted, arrived } = expectedOf(world, traffic, shard, fail);
    const expected = { accepted, arrived, committed: events, quarantined };
    if (found.suppressed > 0 && !model.rules.some(barsLines)) fail(`ledger ${shard}: ${found.suppressed} suppressed`);
    duplicates += arrived - own.length - found.suppressed;
    for (const [term, value] of Object.entries(expected)) {
      const told = found[term as keyof typeof expected];
      if (told !== value) fail(`ledger ${shard}: ${term} ${told}, not ${value}`);
    }
    for (const sink of SINKS) {
      const { in_flight, applied, holes } = found.sinks[sink];
      const missing = leftOut[sink].events.get(shard) ?? 0;
      if (in_flight !== accepted - arrived)
        fail(`ledger ${shard}: ${sink} in flight ${in_flight}, not ${accepted - arrived}`);
      if (applied !== events - missing) fail(`ledger ${shard}: ${sink} applied ${applied}, not ${events - missing}`);
      if (holes !== missing) fail(`ledger ${shard}: ${sink} holes ${holes}, not ${missing}`);
    }
  }
  const { total } = ledger;
  if (total.duplicates !== duplicates) fail(`ledger: ${total.duplicates} duplicates, not ${duplicates}`);
  if (total.moving !== 0) fail(`ledger: ${total.moving} events still move between shards`);
}

/** What the edges' numbers say once every message has arrived that its queue took. */
function expectedOf(world: World, traffic: Traffic, shard: number, fail: Fail): { accepted: number; arrived: number } {
  const byEdge = new Map<string, Map<number, MessageHeader>>();
  for (const body of world.queues.queue(`events-${shard}`).taken) {
    const message = parseMessage(body);
    if (!message.ok) continue;
    const { header } = message.value;
    const numbers = byEdge.get(header.edge) ?? new Map<number, MessageHeader>();
    byEdge.set(header.edge, numbers.set(header.n, header));
  }
  let accepted = 0;
  let arrived = 0;
  for (const [edge, numbers] of byEdge) {
    const last = numbers.get(Math.max(...numbers.keys()))!;
    accepted += last.before + last.events;
    const voided = new Map([...numbers.values()].flatMap((header) => header.void ?? []));
    for (const [number, events] of voided) if (!numbers.has(number)) accepted -= events;
    for (const { events } of numbers.values()) arrived += events;
    if (!traffic.isAlive(edge)) continue;
    for (let n = 1; n < last.n; n++) {
      if (!numbers.has(n) && !voided.has(n)) fail(`${edge} never said that its message ${n} to shard ${shard} failed`);
    }
  }
  return { accepted, arrived };
}
