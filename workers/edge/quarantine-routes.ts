/**
 * What could not be handled: listed, looked at, sent again. The entries are parked messages (R2) and the sinks' holes
 * (beside their cursors); events that broke their contract are rows of the table `quarantine`, which SQL reads.
 *
 * The edge reads R2 for this alone, under poison/ and the segments that a hole names: its other needs (the queues, the
 * log, the cursors) are bound here anyway, and a Worker between would only pass bytes on.
 */
import type { Context, Hono } from "hono";
import type { EventLogApi, EventLogRedriveApi } from "../../durable-objects/event-log/api.ts";
import { LAKE_CATALOG_NAME } from "../../durable-objects/lake-catalog/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { HolesApi, RecordedHole } from "../../durable-objects/sink-cursor/api.ts";
import { BarredSubjects } from "../../queues/fan-out/barred.ts";
import { holeEntry, messageEntry, parseEntryId, type QuarantineEntry } from "../../queues/quarantine/entry.ts";
import { storedLines } from "../../queues/quarantine/hole-lines.ts";
import { holeKeeper, listQuarantine, type PagePlace, type QuarantineRequest } from "../../queues/quarantine/list.ts";
import { type RedriveDeps, redriveHole, redriveMessage } from "../../queues/quarantine/redrive.ts";
import { segmentObject } from "../../queues/segment-object.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { QUARANTINE } from "../../r2-layout/limits.ts";
import type { SinkName } from "../../r2-layout/sinks.ts";
import type { SubjectHasher } from "../../r2-layout/subjects.ts";
import { problem, storeUnavailable } from "../problem.ts";
import { readJsonBody } from "./json-body.ts";
import { badParameter, countParameter, Refused } from "./parameters.ts";

export interface QuarantineRoutes {
  readonly bucket: R2Bucket;
  readonly logs: ObjectNamespace<Pick<EventLogApi, "segments" | "barred"> & EventLogRedriveApi>;
  /** Of people, in rules. */
  readonly hash: SubjectHasher;
  readonly cursors: ObjectNamespace<HolesApi>;
  readonly catalog: ObjectNamespace<HolesApi>;
  readonly shards: number;
  /** As `RedriveDeps.send`. */
  readonly send: (shard: number, body: string) => Promise<void>;
  /** Microseconds. */
  readonly now: () => number;
  /** @throws Refused */
  readonly admin: (request: Request) => unknown;
}

/** Where the quarantined events are: too many to be listed here. */
const EVENTS = {
  table: "quarantine",
  see: "select cause, count(*) as events from quarantine group by cause order by events desc",
};

export function addQuarantine(app: Hono, routes: QuarantineRoutes): void {
  const { bucket, logs, cursors, shards, admin } = routes;
  const catalog = () => routes.catalog.getByName(LAKE_CATALOG_NAME);
  const barred = new BarredSubjects(routes.hash);
  const deps = (): RedriveDeps => ({
    bucket,
    logs,
    barred,
    cursors,
    catalog: catalog(),
    shards,
    send: async (shard, body) => {
      try {
        await routes.send(shard, body);
      } catch (error) {
        console.error(JSON.stringify({ reason: "store_unavailable", shard, error: String(error) }));
        throw new Refused(storeUnavailable);
      }
    },
    now: () => routes.now() / 1_000,
  });
  const holeOf = async (sink: SinkName, shard: number, seq: number): Promise<RecordedHole | null> => {
    if (shard >= shards) return null;
    const [hole] = await holeKeeper({ cursors, catalog: catalog() }, sink, shard).holes(shard, { seq });
    return hole ?? null;
  };

  app.get("/v1/quarantine", async (c) => {
    admin(c.req.raw);
    const request = pageRequest(new URL(c.req.url).searchParams);
    const { entries, next } = await listQuarantine({ bucket, cursors, catalog: catalog(), shards }, request);
    return c.json({ entries, next: next && cursorText(next), events: EVENTS });
  });

  app.get("/v1/quarantine/:id", async (c) => {
    admin(c.req.raw);
    const id = entryId(c);
    const isRaw = new URL(c.req.url).searchParams.get("raw") === "1";
    if (id.kind === "message") {
      const object = await bucket.get(id.key);
      const entry = object && messageEntry(object);
      if (!entry) return problem({ reason: "not_found" });
      if (isRaw) return rawResponse(object.body);
      return c.json({ ...entry, body: preview(new Uint8Array(await object.arrayBuffer())) });
    }
    const hole = await holeOf(id.sink, id.shard, id.seq);
    if (!hole) return problem({ reason: "not_found" });
    const bytes = await holeBytes(hole, bucket, logs.getByName(shardName(id.shard)));
    if (isRaw) return bytes ? rawResponse(bytes) : problem({ reason: "not_found" });
    const entry: QuarantineEntry = { ...holeEntry(id.sink, hole), bytes: bytes?.length ?? null };
    return c.json({ ...entry, body: bytes && preview(bytes) });
  });

  app.post("/v1/quarantine/:id/redrive", async (c) => {
    admin(c.req.raw);
    const id = entryId(c);
    const { body = null } = await readJsonBody(c.req.raw, QUARANTINE.bodyBytes, ["body"]);
    if (body !== null && typeof body !== "string") throw badParameter("body", "text: what is to be sent in its place");
    const { origin, done } =
      id.kind === "message"
        ? { origin: "message", done: await redriveMessage(id.key, body, deps()) }
        : { origin: "hole", done: id.shard < shards ? await redriveHole(id, body, deps()) : null };
    if (!done) return problem({ reason: "not_found" });
    if (!done.ok) return problem({ reason: "still_refused", ...done.error });
    return c.json({ id: c.req.param("id"), kind: origin, state: "redriven", redriven: done.value });
  });
}

/** @throws Refused */
function entryId(c: Context) {
  const id = parseEntryId(c.req.param("id") ?? "");
  if (!id) throw new Refused({ reason: "not_found" });
  return id;
}

const STATES = ["open", "redriven", "all"] as const;
const KINDS = ["message", "hole"] as const;

/** @throws Refused */
function pageRequest(query: URLSearchParams): QuarantineRequest {
  const { pageLimitDefault: fallback, pageLimitMax: max } = QUARANTINE;
  const cursor = query.get("cursor");
  const after = cursor ? parseCursor(cursor) : null;
  if (cursor && !after) throw badParameter("cursor", "as the last page gave it");
  return {
    state: oneOf(query, "state", STATES) ?? "open",
    kind: oneOf(query, "kind", KINDS),
    limit: countParameter(query, "limit", { fallback, max }),
    after,
  };
}

function oneOf<T extends string>(query: URLSearchParams, name: string, values: readonly T[]): T | null {
  const text = query.get(name);
  if (text === null) return null;
  const value = values.find((one) => one === text);
  if (value === undefined) throw badParameter(name, `one of ${values.join(", ")}`);
  return value;
}

const cursorText = ({ at, id, key }: PagePlace): string =>
  Buffer.from(JSON.stringify([at, id, key])).toString("base64url");

function parseCursor(text: string): PagePlace | null {
  try {
    const place: unknown = JSON.parse(Buffer.from(text, "base64url").toString());
    if (!Array.isArray(place) || place.length !== 3) return null;
    const [at, id, key] = place;
    if (typeof at !== "string" || Number.isNaN(Date.parse(at)) || typeof id !== "string") return null;
    return key === null || typeof key === "string" ? { at, id, key } : null;
  } catch {
    return null;
  }
}

/** The hole's lines; of an object that is no gzip the object itself; null where there is none. */
async function holeBytes(
  hole: RecordedHole,
  bucket: R2Bucket,
  log: Pick<EventLogApi, "segments">,
): Promise<Uint8Array | null> {
  const lines = await storedLines(hole, hole, bucket, log);
  if (lines.ok) return Buffer.from(`${lines.value.join("\n")}\n`);
  return lines.error.cause === "segment_missing" ? null : (await segmentObject(hole, bucket, log)).body;
}

interface Preview {
  readonly encoding: "utf8" | "base64";
  readonly text: string;
  /** There is more: `?raw=1` has it all. */
  readonly truncated: boolean;
}

function preview(bytes: Uint8Array): Preview {
  const truncated = bytes.length > QUARANTINE.previewBytes;
  const shown = bytes.subarray(0, QUARANTINE.previewBytes);
  try {
    // The cut may go through a character: only what is whole is shown.
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(shown, { stream: truncated });
    return { encoding: "utf8", text, truncated };
  } catch {
    return { encoding: "base64", text: Buffer.from(shown).toString("base64"), truncated };
  }
}

/** Somebody else's bytes: a browser is to save them, whatever they look like. */
const rawResponse = (body: BodyInit): Response =>
  new Response(body, {
    headers: {
      "content-type": "application/octet-stream",
      "content-disposition": "attachment",
      "x-content-type-options": "nosniff",
      "cache-control": "no-store",
    },
  });
