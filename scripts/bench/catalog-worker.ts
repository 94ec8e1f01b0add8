/** The Worker that `bench-catalog.ts` drives: a LakeCatalog that is filled, and asked, from inside the runtime. */
import { ulid } from "ulidx";
import type { AppendCommit, NewDataFile, Plan, PlanRequest } from "../../durable-objects/lake-catalog/api.ts";
import { LakeCatalog } from "../../durable-objects/lake-catalog/lake-catalog.ts";
import { dataFileKey } from "../../r2-layout/keys.ts";
import { dayOf } from "../../r2-layout/time.ts";

/** Files as they are told to the worker: what differs between them, and the index of the statistics that they share. */
export interface FileSketch {
  readonly minTime: number;
  readonly maxTime: number;
  readonly bytes: number;
  readonly rows: number;
  /** The event name of a file that has one alone, null for a file of many names. */
  readonly name: string | null;
  readonly isFresh: boolean;
  /** What its parts take. */
  readonly chunks?: NewDataFile["chunks"];
}

export interface Fill {
  readonly files: readonly FileSketch[];
  /** Names in a file of many. */
  readonly names: readonly string[];
  /** Bounds by column, as a true file has them; those of the times and of the name are each file's own. */
  readonly columns: NewDataFile["columns"];
}

export class BenchCatalog extends LakeCatalog {
  /** One commit of as many files as it names, by the true path. @returns the cursor. */
  async fill({ files, names, columns }: Fill): Promise<number> {
    const lease = await this.lease(0, "bench", 60_000);
    if (!lease) throw new Error("the lease is taken");
    const from = lease.cursor;
    const add = files.map((sketch) => dataFile(sketch, names, columns));
    const events = add.reduce((sum, { rows }) => sum + rows, 0);
    const commit: AppendCommit = {
      shard: 0,
      token: lease.token,
      from,
      to: from + 1,
      applied: { events, quarantined: 0 },
      add,
    };
    const answer = await this.append(commit);
    if (answer.kind !== "committed") throw new Error(`append answered ${answer.kind}`);
    await this.release(0, lease.token);
    return from + 1;
  }
}

function dataFile(
  { minTime, maxTime, bytes, rows, name, isFresh, chunks }: FileSketch,
  names: readonly string[],
  columns: NewDataFile["columns"],
): NewDataFile {
  const [minDay, maxDay] = [dayOf(minTime), dayOf(maxTime)];
  const kind = isFresh ? "fresh" : "compact";
  const bounds = {
    ...columns,
    event_time: { nulls: 0, min: minTime, max: maxTime },
    received_at: { nulls: 0, min: minTime, max: maxTime },
    ...(name !== null && { event_name: { nulls: 0, min: name, max: name } }),
  };
  return {
    table: "events",
    key: dataFileKey({ table: "events", kind, day: minDay === maxDay ? minDay : null, ulid: ulid() }),
    kind,
    bytes,
    rows,
    minDay,
    maxDay,
    minTime,
    maxTime,
    minReceivedAt: minTime,
    maxReceivedAt: maxTime,
    eventNames: name === null ? names : [name],
    columns: bounds,
    schemaVersion: 1,
    ...(name !== null && { partition: name }),
    ...(chunks && { chunks }),
  };
}

interface Env {
  readonly CATALOG: DurableObjectNamespace<BenchCatalog>;
}

export default {
  async fetch(request, env): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const catalog = env.CATALOG.getByName(searchParams.get("object")!);
    if (pathname === "/fill") return Response.json(await catalog.fill((await request.json()) as Fill));
    const { files, matched, scan } = (await catalog.plan((await request.json()) as PlanRequest)) as Plan;
    // What crosses to the benchmark is a digest: the Worker is where plans are used.
    return Response.json({ files: files.length, matched, scan });
  },
} satisfies ExportedHandler<Env>;
