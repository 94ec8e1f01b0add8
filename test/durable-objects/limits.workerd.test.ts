/** Promise 9 in the objects, in the real runtime: each bound at its value and one beyond it; the platform's own too. */
import { reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { ulid } from "ulidx";
import { afterEach, describe, expect, it, vi } from "vitest";
import { IdRuns } from "../../durable-objects/event-log/id-runs.ts";
import { toWords } from "../../durable-objects/event-log/packed-ids.ts";
import { SourceTable } from "../../durable-objects/event-log/source-table.ts";
import type { LakeCatalog } from "../../durable-objects/lake-catalog/lake-catalog.ts";
import type { LiveHub } from "../../durable-objects/live-hub/live-hub.ts";
import { minuteDeltas } from "../../durable-objects/minute-rollup/minute-delta.ts";
import type { MinuteRollup } from "../../durable-objects/minute-rollup/minute-rollup.ts";
import { JobTable } from "../../durable-objects/replay-desk/job-table.ts";
import type { SinkCursor } from "../../durable-objects/sink-cursor/sink-cursor.ts";
import { Timeline } from "../../durable-objects/user-timeline/timeline.ts";
import type { UserTimeline } from "../../durable-objects/user-timeline/user-timeline.ts";
import { dataFileKey } from "../../r2-layout/keys.ts";
import {
  DAY_MS,
  HOUR_MS,
  LAKE,
  LIVE,
  LOG,
  MINUTE_MS,
  PLATFORM,
  REPLAY,
  ROLLUP,
  TIMELINE,
} from "../../r2-layout/limits.ts";
import { packedIds } from "./event-log/random-ids.ts";
import { dataFile, TODAY_US } from "./lake-catalog/data-files.ts";
import { plainEvent } from "./user-timeline/events.ts";

const objects = env as unknown as {
  SINK_CURSOR: DurableObjectNamespace<SinkCursor>;
  LAKE_CATALOG: DurableObjectNamespace<LakeCatalog>;
  LIVE_HUB: DurableObjectNamespace<LiveHub>;
  USER_TIMELINE: DurableObjectNamespace<UserTimeline>;
  MINUTE_ROLLUP: DurableObjectNamespace<MinuteRollup>;
};
afterEach(() => reset());

const inSql = <T>(run: (sql: SqlStorage) => T): Promise<T> =>
  runInDurableObject(objects.USER_TIMELINE.getByName("limits"), (_, { storage }) => run(storage.sql));

describe("the runtime's SQLite", () => {
  it("binds PLATFORM.sqliteBoundParameters parameters and refuses one more", async () => {
    const count = (parameters: number) =>
      inSql((sql) => {
        const places = Array.from({ length: parameters }, () => "?").join(",");
        return sql
          .exec<{ n: number }>(
            `SELECT count(*) AS n FROM (VALUES (${places.replaceAll(",", "),(")}))`,
            ...places.split(","),
          )
          .one().n;
      }).catch((error: Error) => error.message);
    expect(await count(PLATFORM.sqliteBoundParameters)).toBe(PLATFORM.sqliteBoundParameters);
    expect(await count(PLATFORM.sqliteBoundParameters + 1)).toMatch(/too many SQL variables/);
  });

  it("keeps a row of PLATFORM.sqliteRowBytes; beyond what it adds to that, it refuses", async () => {
    const keep = (bytes: number) =>
      inSql((sql) => {
        sql.exec("CREATE TABLE IF NOT EXISTS wide (value BLOB)");
        sql.exec("INSERT INTO wide VALUES (?)", new Uint8Array(bytes));
        return sql.exec<{ n: number }>("SELECT max(length(value)) AS n FROM wide").one().n;
      }).catch((error: Error) => error.message);
    expect(await keep(PLATFORM.sqliteRowBytes)).toBe(PLATFORM.sqliteRowBytes);
    expect(await keep(PLATFORM.sqliteRowBytes * 1.2)).toMatch(/too big/);
  });
});

describe("the log", () => {
  it("counts LOG.sources sources one by one, and the rest together", async () => {
    const counted = (sources: number) =>
      inSql((sql) => {
        sql.exec("DROP TABLE IF EXISTS sources");
        const table = new SourceTable(sql);
        const message = (i: number) => ({ source: `s${i}`, events: 1, duplicates: 0 });
        table.arrive(Array.from({ length: sources }, (_, i) => message(i)) as never);
        return table.all();
      });
    expect(await counted(LOG.sources)).toHaveLength(LOG.sources);
    const more = await counted(LOG.sources + 1);
    // One name for all that are not counted apart.
    expect(more).toHaveLength(LOG.sources + 1);
    expect(more.filter(({ source }) => /^s\d+$/.test(source))).toHaveLength(LOG.sources);
    expect(more.reduce((sum, { events }) => sum + events, 0)).toBe(LOG.sources + 1);
  });
});

describe("the dedup window", () => {
  it("holds filters in memory up to its part of LOG.idMemoryBytes; one that does not fit is read row by row, and answers the same", async () => {
    const answers = await inSql((sql) => {
      for (const table of ["run", "runs", "ids", "filters"]) sql.exec(`DROP TABLE IF EXISTS ${table}`);
      const ids = toWords(packedIds(0, 5_000));
      const made = new IdRuns(sql, LOG.idMemoryBytes);
      made.add(ids, 0, 1);
      const owned = (memoryBytes: number) => {
        const runs = new IdRuns(sql, memoryBytes);
        const marks = new Uint8Array(5_000);
        runs.mark(ids, marks);
        return { bytes: runs.bytes, owned: marks.reduce((sum, mark) => sum + mark, 0) };
      };
      const { bytes } = owned(LOG.idMemoryBytes);
      return { bytes, at: owned(bytes), beyond: owned(bytes - 1) };
    });
    expect(answers.bytes).toBeGreaterThan(0);
    expect(answers.at).toEqual({ bytes: answers.bytes, owned: 5_000 });
    expect(answers.beyond).toEqual({ bytes: 0, owned: 5_000 });
  });
});

describe("the wall", () => {
  it("takes LIVE.sockets sockets, and tells one more that there are too many", async () => {
    const real = LIVE.sockets;
    Object.assign(LIVE, { sockets: 2 });
    const sockets: WebSocket[] = [];
    const connect = async () => {
      const { status, webSocket } = await objects.LIVE_HUB.getByName("live").fetch("http://hub/v1/live", {
        headers: { upgrade: "websocket" },
      });
      webSocket?.accept();
      if (webSocket) sockets.push(webSocket);
      return status;
    };
    try {
      expect(await connect()).toBe(101);
      expect(await connect()).toBe(101);
      expect(await connect()).toBe(503);
    } finally {
      Object.assign(LIVE, { sockets: real });
      for (const socket of sockets) socket.close(1000, "done");
      await vi.waitFor(
        () =>
          runInDurableObject(objects.LIVE_HUB.getByName("live"), (_, state) =>
            expect(state.getWebSockets()).toEqual([]),
          ),
        { timeout: 10_000 },
      );
    }
  });
});

describe("the lake's catalog", () => {
  async function commit(files: readonly Parameters<typeof dataFile>[0][]) {
    const catalog = objects.LAKE_CATALOG.getByName("lake");
    const lease = (await catalog.lease(0, crypto.randomUUID(), HOUR_MS))!;
    const applied = { events: files.reduce((sum, { rows = 10 } = {}) => sum + rows, 0), quarantined: 0 };
    const add = files.map((part) => dataFile(part));
    const answer = catalog.append({
      shard: 0,
      token: lease.token,
      from: lease.cursor,
      to: lease.cursor + 1,
      applied,
      add,
    });
    const kind = await answer.then(
      ({ kind }) => kind as string,
      (error: Error) => error.message,
    );
    await catalog.release(0, lease.token);
    return { catalog, kind };
  }
  const many = (count: number, part: Parameters<typeof dataFile>[0] = {}) => Array.from({ length: count }, () => part);

  it("leaves LAKE.compactAboveFiles small files of a day alone, and gives work for one more", async () => {
    const { catalog } = await commit(many(LAKE.compactAboveFiles));
    expect(await catalog.compactionWork()).toBeNull();
    await commit(many(1));
    expect((await catalog.compactionWork())?.files).toHaveLength(LAKE.compactAboveFiles + 1);
  });

  it("gives LAKE.compactInputs files to one compaction, and no more", async () => {
    const { catalog } = await commit(many(LAKE.compactInputs));
    expect((await catalog.compactionWork())?.files).toHaveLength(LAKE.compactInputs);
    await commit(many(1));
    expect((await catalog.compactionWork())?.files).toHaveLength(LAKE.compactInputs);
  });

  it("merges a file below LAKE.finishedBytes, and leaves one of that size alone", async () => {
    const { catalog } = await commit([
      ...many(LAKE.compactAboveFiles, { bytes: LAKE.finishedBytes - 1 }),
      { bytes: LAKE.finishedBytes },
    ]);
    expect(await catalog.compactionWork()).toBeNull();
    await commit([{ bytes: LAKE.finishedBytes - 1 }]);
    const bytes = (await catalog.compactionWork())!.files.map((file) => file.bytes);
    expect(bytes).toEqual([LAKE.finishedBytes - 1, LAKE.finishedBytes - 1]);
  });

  it("takes a file as old as LAKE.staleFileMs, and refuses an older one", async () => {
    const aged = (ageMs: number) => ({
      key: dataFileKey({
        table: "events",
        kind: "fresh",
        day: new Date(TODAY_US / 1_000).toISOString().slice(0, 10),
        ulid: ulid(Date.now() - ageMs),
      }),
    });
    // Some seconds of room: the clock goes on.
    expect((await commit([aged(LAKE.staleFileMs - 5_000)])).kind).toBe("committed");
    expect((await commit([aged(LAKE.staleFileMs + 1)])).kind).toContain("too old");
  });
});

const START = Date.UTC(2026, 10, 1) * 1_000;

describe("a timeline", () => {
  it("keeps TIMELINE.sessionsInHead summaries of sessions that have expired, and drops the oldest beyond", async () => {
    const kept = (sessions: number) =>
      inSql((sql) => {
        for (const { name } of sql
          .exec<{ name: string }>(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\' AND name NOT LIKE 'sqlite%'",
          )
          .toArray())
          sql.exec(`DROP TABLE "${name}"`);
        const timeline = new Timeline(sql);
        const events = Array.from({ length: sessions }, (_, i) =>
          plainEvent({ event_id: `e${i}`, event_time: START + i * HOUR_MS * 1_000, received_at: START, log_seq: 1 }),
        );
        timeline.append({ subject: { kind: "user", id: "ann" }, shard: 0, from: 1, to: 1, events }, START / 1_000);
        timeline.expire(START / 1_000 + (TIMELINE.daysKept + 2) * DAY_MS);
        return timeline.sessions(TIMELINE.sessionsPerAnswer).map(({ start }) => start);
      });
    expect(await kept(TIMELINE.sessionsInHead)).toHaveLength(TIMELINE.sessionsInHead);
    const more = await kept(TIMELINE.sessionsInHead + 1);
    expect(more).toHaveLength(TIMELINE.sessionsInHead);
    expect(more).not.toContain(START);
  });
});

describe("a rollup", () => {
  const rollup = () => objects.MINUTE_ROLLUP.getByName("core:000");
  const HOUR = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 5 * HOUR_MS;
  const window = (job: string, hour = 0) => ({
    job,
    shard: 0,
    from: HOUR + hour * HOUR_MS,
    to: HOUR + (hour + 3) * HOUR_MS,
    cursor: 0,
    after: 0,
  });

  it("lists ROLLUP.differencesListed minutes that differ between two builds, and counts all of them", async () => {
    const minutes = (count: number) =>
      minuteDeltas(
        Array.from({ length: count }, (_, i) => ({
          event_name: "page",
          log_seq: 1,
          event_time: (HOUR + i * MINUTE_MS) * 1_000,
        })),
      );
    for (const count of [ROLLUP.differencesListed, ROLLUP.differencesListed + 1]) {
      const job = `job-${count}`;
      await rollup().begin(window(job));
      await rollup().add(job, { step: 1, to: 0, rules: 0 }, minutes(count));
      const { different, minutes: listed } = await rollup().compare(job);
      expect({ different, listed: listed.length }).toEqual({ different: count, listed: ROLLUP.differencesListed });
      await rollup().discard(job);
    }
  });

  it("remembers ROLLUP.rebuildsRemembered builds that have ended, and forgets the oldest beyond", async () => {
    const known = () =>
      runInDurableObject(
        rollup(),
        (_, { storage }) => storage.sql.exec<{ n: number }>("SELECT count(*) AS n FROM rebuilds").one().n,
      );
    for (let i = 0; i < ROLLUP.rebuildsRemembered; i++) {
      await rollup().begin(window(`job-${i}`));
      await rollup().discard(`job-${i}`);
    }
    expect(await known()).toBe(ROLLUP.rebuildsRemembered);
    await rollup().begin(window("last"));
    await rollup().discard("last");
    expect(await known()).toBe(ROLLUP.rebuildsRemembered);
  });
});

describe("the replay desk", () => {
  it("gives REPLAY.settledRows rows of what was settled, and forgets what is older than it is told", async () => {
    const given = (rows: number) =>
      inSql((sql) => {
        const jobs = new JobTable(sql);
        sql.exec("DELETE FROM settled");
        for (let shard = 0; shard < rows; shard++)
          jobs.addSettled({ day: "2026-11-22", shard, cause: "republished", events: 1 });
        const before = jobs.settled().length;
        jobs.forget("2026-11-22");
        const kept = jobs.settled().length;
        jobs.forget("2026-11-23");
        return { before, kept, after: jobs.settled().length };
      });
    expect(await given(REPLAY.settledRows)).toEqual({ before: REPLAY.settledRows, kept: REPLAY.settledRows, after: 0 });
    expect(await given(REPLAY.settledRows + 1)).toEqual({
      before: REPLAY.settledRows,
      kept: REPLAY.settledRows,
      after: 0,
    });
  });
});

describe("what a timeline keeps", () => {
  it("is closed into chunks beyond TIMELINE.rowBytes, and stands in the head row until then", async () => {
    const chunks = (events: number) =>
      inSql((sql) => {
        for (const table of ["head", "chunk"]) sql.exec(`DROP TABLE IF EXISTS ${table}`);
        const timeline = new Timeline(sql);
        // Two of them, with what else an event has, take just less than a row.
        const long = "x".repeat(TIMELINE.rowBytes / 2 - 512);
        const list = Array.from({ length: events }, (_, i) =>
          plainEvent({
            event_id: `e${i}`,
            event_time: START + i,
            received_at: Date.now() * 1_000,
            log_seq: 1,
            properties: { long },
          }),
        );
        timeline.append({ subject: { kind: "user", id: "ann" }, shard: 0, from: 1, to: 1, events: list }, Date.now());
        // The table comes with the first of them.
        if (sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'chunk'").toArray().length === 0) return 0;
        return sql.exec<{ n: number }>("SELECT count(*) AS n FROM chunk").one().n;
      });
    expect(await chunks(2)).toBe(0);
    expect(await chunks(3)).toBeGreaterThan(0);
  });

  it("was received within TIMELINE.daysKept, and is gone a moment later", async () => {
    const kept = (ageMs: number) =>
      inSql((sql) => {
        for (const table of ["head", "chunk"]) sql.exec(`DROP TABLE IF EXISTS ${table}`);
        const timeline = new Timeline(sql);
        const event = plainEvent({ event_id: "e", event_time: START, received_at: START, log_seq: 1 });
        timeline.append(
          { subject: { kind: "user", id: "ann" }, shard: 0, from: 1, to: 1, events: [event] },
          START / 1_000,
        );
        timeline.expire(START / 1_000 + ageMs);
        return new Timeline(sql).events({ limit: 1 }).events.length;
      });
    expect(await kept(TIMELINE.daysKept * DAY_MS)).toBe(1);
    expect(await kept(TIMELINE.daysKept * DAY_MS + 1)).toBe(0);
  });
});

describe("a page of a timeline", () => {
  it("looks through TIMELINE.scanBytes of events that are not asked for, then ends with a cursor", async () => {
    const real = TIMELINE.scanBytes;
    try {
      const page = await inSql((sql) => {
        const timeline = new Timeline(sql);
        const long = "x".repeat(2_000);
        const events = Array.from({ length: 400 }, (_, i) =>
          plainEvent({
            event_id: `e${i}`,
            event_time: (Date.now() - i * 1_000) * 1_000,
            anonymous_id: i === 399 ? "wanted" : "other",
            log_seq: 1,
            properties: { long },
          }),
        );
        timeline.append({ subject: { kind: "user", id: "ann" }, shard: 0, from: 1, to: 1, events }, Date.now());
        // All chunks may hold the device: theirs are not listed apart.
        sql.exec("UPDATE chunk SET devices = NULL");
        const whole = new Timeline(sql).events({ limit: 10, anonymousId: "wanted" });
        Object.assign(TIMELINE, { scanBytes: 100_000 });
        const cut = new Timeline(sql).events({ limit: 10, anonymousId: "wanted" });
        return { whole, cut };
      });
      expect(page.whole.events).toHaveLength(1);
      expect(page.whole.next).toBeNull();
      expect(page.cut.events).toEqual([]);
      expect(page.cut.next).not.toBeNull();
    } finally {
      Object.assign(TIMELINE, { scanBytes: real });
    }
  });
});
