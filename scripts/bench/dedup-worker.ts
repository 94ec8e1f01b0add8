/** The Worker that `bench-dedup.ts` drives: days of ids through the dedup window, or through one row for each id. */
import { DurableObject } from "cloudflare:workers";
import { DedupWindow } from "../../durable-objects/event-log/dedup-window.ts";
import { DAY_MS, HOUR_MS } from "../../r2-layout/limits.ts";

interface Env {
  readonly DEDUP: DurableObjectNamespace<Dedup>;
}

export interface DedupRun {
  readonly days: number;
  readonly idsPerDay: number;
  readonly idsPerCommit: number;
}

export interface DedupFigures {
  /** Ids inserted, and those that are owned at the end. */
  readonly inserted: number;
  readonly owned: number;
  readonly rowsWritten: number;
  readonly databaseBytes: number;
  readonly memoryBytes: number;
  /** Milliseconds of insertions with their upkeep, and of the look-ups that follow. */
  readonly insertMs: number;
  readonly lookUpMs: number;
  readonly lookUps: number;
  /** Answers that were wrong: an id of the window not owned, one that was never there owned. */
  readonly wrong: number;
}

export default {
  async fetch(request, env): Promise<Response> {
    const run = (await request.json()) as DedupRun;
    const { pathname } = new URL(request.url);
    const object = env.DEDUP.getByName(`${pathname}-${run.days}`);
    return Response.json(pathname === "/rows" ? await object.rows(run) : await object.window(run));
  },
} satisfies ExportedHandler<Env>;

const LOOK_UPS = 20_000;
const START = 20_000 * DAY_MS;

export class Dedup extends DurableObject {
  /** As the log uses it, on a clock of its own: the window is `days` long, and full a day later. */
  async window({ days, idsPerDay, idsPerCommit }: DedupRun): Promise<DedupFigures> {
    const { storage } = this.ctx;
    let rowsWritten = 0;
    const counting = {
      exec: (...query: Parameters<SqlStorage["exec"]>) => {
        const cursor = storage.sql.exec(...query);
        rowsWritten += cursor.rowsWritten;
        return cursor;
      },
    } as unknown as SqlStorage;
    const window = new DedupWindow(counting, days * DAY_MS);
    const commitsPerDay = Math.ceil(idsPerDay / idsPerCommit);
    const everyMs = DAY_MS / commitsPerDay;
    const upkeep = (now: number) => {
      for (let work = window.due(now); work; work = window.due(now)) {
        const next = work;
        storage.transactionSync(() => window.maintain(next));
      }
    };
    let now = START;
    let number = 0;
    const began = performance.now();
    for (let commit = 0; commit < (days + 1) * commitsPerDay; commit++) {
      const ids = idsOf(number, idsPerCommit);
      number += idsPerCommit;
      storage.transactionSync(() => window.insert(ids, now, ""));
      now += everyMs;
      upkeep(now);
    }
    now += 3 * HOUR_MS;
    upkeep(now);
    const insertMs = performance.now() - began;
    const own = (days - 1) * commitsPerDay * idsPerCommit;
    const asked = performance.now();
    let wrong = 0;
    for (let i = 0; i < LOOK_UPS; i += idsPerCommit / 2) {
      // Half of each question is owned, as old as the window reaches, half is not.
      const present = idsOf(number - own + Math.floor((i / LOOK_UPS) * (own - idsPerCommit)), idsPerCommit / 2);
      const absent = idsOf(2 ** 40 + i, idsPerCommit / 2);
      for (const owned of window.owned(present)) wrong += 1 - owned;
      for (const owned of window.owned(absent)) wrong += owned;
    }
    const lookUpMs = performance.now() - asked;
    const { ids: owned, bytes: memoryBytes } = window.size;
    return {
      ...{ inserted: number, owned, rowsWritten, databaseBytes: storage.sql.databaseSize, memoryBytes },
      ...{ insertMs, lookUpMs, lookUps: 2 * LOOK_UPS, wrong },
    };
  }

  /** The baseline: one row an id, with its time, and a delete of what is too old. */
  async rows({ days, idsPerDay, idsPerCommit }: DedupRun): Promise<DedupFigures> {
    const { storage } = this.ctx;
    storage.sql.exec("CREATE TABLE ids (id BLOB PRIMARY KEY, day INTEGER NOT NULL) WITHOUT ROWID");
    storage.sql.exec("CREATE INDEX by_day ON ids (day)");
    let rowsWritten = 0;
    const commitsPerDay = Math.ceil(idsPerDay / idsPerCommit);
    let number = 0;
    const began = performance.now();
    for (let commit = 0; commit < (days + 1) * commitsPerDay; commit++) {
      const ids = idsOf(number, idsPerCommit);
      number += idsPerCommit;
      const day = Math.floor(commit / commitsPerDay);
      storage.transactionSync(() => {
        for (let at = 0; at < ids.byteLength; at += 16) {
          const id = ids.subarray(at, at + 16);
          rowsWritten += storage.sql.exec("INSERT OR IGNORE INTO ids VALUES (?, ?)", id, day).rowsWritten;
        }
      });
    }
    rowsWritten += storage.sql.exec("DELETE FROM ids WHERE day <= 0").rowsWritten;
    const insertMs = performance.now() - began;
    const own = (days - 1) * commitsPerDay * idsPerCommit;
    const has = (id: Uint8Array) => storage.sql.exec("SELECT 1 FROM ids WHERE id = ?", id).toArray().length;
    const asked = performance.now();
    let wrong = 0;
    for (let i = 0; i < LOOK_UPS; i += idsPerCommit / 2) {
      const present = idsOf(number - own + Math.floor((i / LOOK_UPS) * (own - idsPerCommit)), idsPerCommit / 2);
      const absent = idsOf(2 ** 40 + i, idsPerCommit / 2);
      for (let at = 0; at < present.byteLength; at += 16) {
        wrong += 1 - has(present.subarray(at, at + 16)) + has(absent.subarray(at, at + 16));
      }
    }
    const lookUpMs = performance.now() - asked;
    const owned = storage.sql.exec<{ ids: number }>("SELECT count(*) AS ids FROM ids").one().ids;
    return {
      ...{ inserted: number, owned, rowsWritten, databaseBytes: storage.sql.databaseSize, memoryBytes: 0 },
      ...{ insertMs, lookUpMs, lookUps: 2 * LOOK_UPS, wrong },
    };
  }
}

/** Numbered ids, uniform as hashes are, and cheap: 64 bits of mixing, twice. */
function idsOf(from: number, count: number): Uint8Array {
  const ids = new Uint8Array(count * 16);
  const view = new DataView(ids.buffer);
  for (let i = 0; i < count; i++) {
    for (let word = 0; word < 4; word++) view.setUint32(i * 16 + word * 4, mix(from + i, word));
  }
  return ids;
}

function mix(number: number, word: number): number {
  let hash = Math.imul((number >>> 0) ^ (word * 0x9e3779b9), 0x85ebca6b) ^ Math.floor(number / 2 ** 32);
  hash = Math.imul(hash ^ (hash >>> 16), 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 13), 0x27d4eb2f);
  return (hash ^ (hash >>> 16)) >>> 0;
}
