/** The Worker that `bench-rollups.ts` drives: decodes a segment, then does the sink's work on it several times, up to where the path says. */
import type { MinuteRollupApi } from "../../durable-objects/minute-rollup/api.ts";
import { minuteDeltas } from "../../durable-objects/minute-rollup/minute-delta.ts";
import { readRollups } from "../../durable-objects/minute-rollup/read.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { decodeSegment } from "../../r2-layout/segment.ts";

export { LiveHub } from "../../durable-objects/live-hub/live-hub.ts";
export { MinuteRollup } from "../../durable-objects/minute-rollup/minute-rollup.ts";

interface Env {
  readonly MINUTE_ROLLUP: ObjectNamespace<MinuteRollupApi>;
}

export default {
  async fetch(request, env): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/rollups")
      return Response.json(await readRollups(env.MINUTE_ROLLUP, 1, searchParams, Date.now()));
    const number = (name: string) => Number(searchParams.get(name));
    const { events } = decodeSegment(new Uint8Array(await request.arrayBuffer()), { shard: 0, seq: number("seq") });
    if (pathname === "/decode") return Response.json({ events: events.length });
    // As of live traffic, whose minutes are not final yet; or every event comes late, and leaves a record of what it changed.
    const completeUntil = searchParams.has("late") ? Date.now() : 0;
    const rollup = env.MINUTE_ROLLUP.getByName(searchParams.get("object") ?? "core:000");
    for (let i = 0; i < number("times"); i++) {
      const minutes = minuteDeltas(events);
      if (pathname === "/deltas") continue;
      const seq = number("seq") + i;
      const { applied } = await rollup.apply({ shard: 0, from: seq, to: seq, completeUntil, minutes });
      if (!applied) return new Response("not applied", { status: 500 });
    }
    return Response.json({ events: events.length });
  },
} satisfies ExportedHandler<Env>;
