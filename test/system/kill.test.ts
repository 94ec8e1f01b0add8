/**
 * Promises 1 and 2 under SIGKILL: the whole process group ten times at random moments under load, and once Node alone,
 * whose workerd outlives it. KILL_SEED repeats a run's moments and batches; KILLS asks for more kills.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, it } from "vitest";
import { Random } from "../../scripts/demo/random.ts";
import { type RunningSystem, startSystem } from "./harness.ts";

const SEED = Number(process.env.KILL_SEED ?? Date.now() % 1_000_000_000);
const KILLS = Number(process.env.KILLS ?? 10);
const USERS = 20;
const SENDERS = 4;
const EVENTS_PER_BATCH = 10;
/** Moments up to this long after the ready line: before, within and after the first flushes of every sink. */
const UP_MS = 2_500;

let system: RunningSystem;
afterAll(() => system?.stop());

it("every acknowledged event is in all three stores exactly once, and the ledger balances, whatever was killed when", {
  timeout: 300_000,
}, async () => {
  console.log(`KILL_SEED=${SEED}`);
  const random = new Random(SEED);
  const load = new Load(random);
  system = await startSystem();
  for (let kill = 0; kill <= KILLS; kill++) {
    load.to(system.url);
    await sleep(random.int(0, UP_MS));
    // In the middle of the row: Node alone, and the next start has to end its orphan.
    if (kill === Math.floor(KILLS / 2)) await system.killNode();
    else await system.kill();
    system = await system.again();
  }
  load.to(system.url);
  await sleep(1_000);
  const acked = await load.stop();
  console.log(`${acked.size} events acknowledged, ${load.failures} requests failed`);
  // The faults fired: requests were cut off, and others got through in between.
  expect(load.failures).toBeGreaterThan(KILLS / 2);
  expect(acked.size).toBeGreaterThan(100);

  const ledger = await system.settled(120_000);
  const inSql = (await system.sql("select event_id from events")).rows.map(([id]) => String(id));
  const stored = new Set(inSql);
  expect(inSql.length).toBe(stored.size);
  expect([...acked].filter((id) => !stored.has(id))).toEqual([]);

  const inTimelines: string[] = [];
  for (let user = 0; user < USERS; user++) inTimelines.push(...(await timelineIds(`user-${user}`)));
  expect(inTimelines.toSorted()).toEqual(inSql.toSorted());

  const points = await system.rollups({
    metric: "events",
    grain: "minute",
    by: "event_name",
    from: new Date(Date.now() - 3_600_000).toISOString(),
  });
  expect(points.reduce((sum, { value }) => sum + value, 0)).toBe(inSql.length);
  const { balanced, total } = ledger;
  const { length } = inSql;
  expect({ balanced, ...total }).toMatchObject({
    balanced: true,
    in_flight: 0,
    lake: length,
    sessions: length,
    rollups: length,
  });
  expect(total.accepted - total.duplicates).toBe(length);
});

async function timelineIds(user: string): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | null = null;
  do {
    const page = await system.userEvents(user, { limit: 1_000, cursor });
    ids.push(...page.events.map((event) => String(event.event_id)));
    cursor = page.next;
  } while (cursor !== null);
  return ids;
}

/** Senders that never stop: a batch that fails is sent again with the same ids, or given up, as the dice say. */
class Load {
  failures = 0;
  readonly #random: Random;
  readonly #acked = new Set<string>();
  readonly #senders: Promise<void>[];
  #url: string | null = null;
  #batches = 0;
  #stopped = false;

  constructor(random: Random) {
    this.#random = new Random(random.int(0, 2 ** 31));
    this.#senders = Array.from({ length: SENDERS }, () => this.#send());
  }

  to(url: string): void {
    this.#url = url;
  }

  /** @returns the ids of all events whose request was answered with 2xx. */
  async stop(): Promise<ReadonlySet<string>> {
    this.#stopped = true;
    await Promise.all(this.#senders);
    return this.#acked;
  }

  async #send(): Promise<void> {
    let batch = this.#batch();
    while (!this.#stopped) {
      if (this.#url !== null && (await this.#post(this.#url, batch))) {
        for (const { messageId } of batch) this.#acked.add(messageId);
        batch = this.#batch();
        await sleep(20);
      } else {
        if (this.#url !== null) this.failures++;
        if (this.#random.chance(0.5)) batch = this.#batch();
        await sleep(100);
      }
    }
  }

  async #post(url: string, batch: readonly object[]): Promise<boolean> {
    try {
      const response = await fetch(`${url}/v1/batch`, {
        method: "POST",
        headers: { authorization: `Basic ${Buffer.from("dev:").toString("base64")}` },
        body: JSON.stringify({ batch, sentAt: new Date().toISOString() }),
        signal: AbortSignal.timeout(5_000),
      });
      await response.arrayBuffer();
      return response.ok;
    } catch {
      return false;
    }
  }

  #batch(): { messageId: string }[] {
    const number = this.#batches++;
    return Array.from({ length: EVENTS_PER_BATCH }, (_, i) => {
      const user = (number * 7 + i) % USERS;
      return {
        type: "track",
        event: "Survived",
        messageId: `kill-${number}-${i}`,
        userId: `user-${user}`,
        anonymousId: `device-${user}`,
        timestamp: new Date().toISOString(),
        properties: { number },
      };
    });
  }
}
