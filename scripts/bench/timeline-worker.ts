/** The Worker that `bench-timeline.ts` drives: appends to timelines, or to bare objects that write one row per flush, and reads. */
import { DurableObject } from "cloudflare:workers";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { SinkCursorApi } from "../../durable-objects/sink-cursor/api.ts";
import type { TimelineAmendApi, TimelineAppend, UserTimelineApi } from "../../durable-objects/user-timeline/api.ts";
import { Timeline } from "../../durable-objects/user-timeline/timeline.ts";
import { timelineName } from "../../durable-objects/user-timeline/timeline-name.ts";
import { boundedParallel } from "../../queues/sessions/bounded-parallel.ts";
import { createSessionsSink } from "../../queues/sessions/sink.ts";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { SESSIONS } from "../../r2-layout/limits.ts";

export { SinkCursor } from "../../durable-objects/sink-cursor/sink-cursor.ts";
export { UserTimeline } from "../../durable-objects/user-timeline/user-timeline.ts";

/** The least that is durable: each flush is a row of JSON, nothing is looked at. */
export class BareTimeline extends DurableObject {
  async append({ events }: TimelineAppend): Promise<{ pointers: string[] }> {
    this.ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS flush (id INTEGER PRIMARY KEY, events TEXT NOT NULL)");
    this.ctx.storage.sql.exec("INSERT INTO flush (events) VALUES (?)", JSON.stringify(events));
    return { pointers: [] };
  }
}

/** The real timeline over storage that counts what the platform bills. */
export class CountedTimeline extends DurableObject {
  async play(appends: readonly TimelineAppend[]): Promise<{ rowsWritten: number }> {
    const { sql, transactionSync } = this.ctx.storage;
    const cursors: { rowsWritten: number }[] = [];
    const exec = (query: string, ...bindings: unknown[]) => {
      const cursor = sql.exec(query, ...bindings);
      cursors.push(cursor);
      return cursor;
    };
    const timeline = new Timeline({ exec } as unknown as SqlStorage);
    cursors.length = 0;
    for (const append of appends) transactionSync.call(this.ctx.storage, () => timeline.append(append, Date.now()));
    return { rowsWritten: cursors.reduce((sum, { rowsWritten }) => sum + rowsWritten, 0) };
  }
}

type Appends = ObjectNamespace<Pick<UserTimelineApi, "append">>;

interface Env {
  readonly USER_TIMELINE: ObjectNamespace<UserTimelineApi & TimelineAmendApi>;
  readonly BARE: Appends;
  readonly COUNTED: ObjectNamespace<Pick<CountedTimeline, "play">>;
  readonly SINK_CURSOR: ObjectNamespace<SinkCursorApi>;
}

const KEY = "bench";
const nameOf = (id: string) => timelineName(KEY, { kind: "user", id });

export default {
  async fetch(request, env): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const text = (name: string) => searchParams.get(name) ?? "";
    if (request.method === "GET") {
      const timeline = env.USER_TIMELINE.getByName(nameOf(text("user")));
      const started = performance.now();
      const answer =
        pathname === "/sessions"
          ? await timeline.sessions(50)
          : pathname === "/profile"
            ? await timeline.profile()
            : await timeline.events({
                limit: Number(text("limit")),
                ...(text("to") && { to: Number(text("to")) }),
                ...(text("cursor") && { cursor: text("cursor") }),
                ...(text("device") && { anonymousId: text("device") }),
              });
      return Response.json({ ms: performance.now() - started, answer });
    }
    const events = (await request.json()) as EventRow[];
    const seq = Math.max(...events.map((event) => event.log_seq));
    if (pathname === "/sink") {
      const sink = createSessionsSink({ cursors: env.SINK_CURSOR, timelines: env.USER_TIMELINE, identityKey: KEY });
      const lease = (await sink.lease(0, "bench"))!;
      const started = performance.now();
      const moved = await sink.apply({
        ...{ shard: 0, token: lease.token, from: lease.cursor, to: seq, completeUntil: 0, events, quarantine: [] },
        applied: { events: events.length, quarantined: 0 },
      });
      return Response.json({ ms: performance.now() - started, moved });
    }
    const groups = Map.groupBy(events, (event) => event.user_id!);
    const appendOf = (id: string, some: EventRow[]): TimelineAppend => ({
      ...{ subject: { kind: "user", id }, shard: 0, from: seq, to: seq, events: some },
    });
    if (pathname === "/counted") {
      const counted = env.COUNTED.getByName(nameOf(text("user")));
      const flushes = Map.groupBy(events, (event) => event.log_seq).values();
      return Response.json(await counted.play([...flushes].map((some) => appendOf(text("user"), some))));
    }
    const namespace: Appends = pathname === "/bare" ? env.BARE : env.USER_TIMELINE;
    const times: number[] = [];
    const started = performance.now();
    await boundedParallel(groups, Number(text("atOnce") || SESSIONS.callsAtOnce), async ([id, some]) => {
      const begun = performance.now();
      await namespace.getByName(nameOf(id)).append(appendOf(id, some));
      times.push(performance.now() - begun);
    });
    return Response.json({ ms: performance.now() - started, times });
  },
} satisfies ExportedHandler<Env>;
