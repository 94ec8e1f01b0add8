/**
 * Trino's client protocol, as its clients speak it: a statement is posted, and the answer says where to ask next, until
 * an answer says nothing of that. Only what the session changes is answered at once.
 */
import type { Asker } from "../answer-sql.ts";
import { type TrinoError, TrinoFailed, trinoError } from "./errors.ts";
import type { SpoolAnswer } from "./result-spool.ts";
import { sessionOf } from "./session.ts";
import { readStatement, type StatementParts } from "./statement.ts";
import { TRINO_VERSION } from "./trino-functions.ts";
import type { TrinoQueryApi } from "./trino-query.ts";
import { booleanColumn } from "./trino-types.ts";

export interface TrinoParts extends StatementParts {
  readonly query: (id: string) => TrinoQueryApi;
}

const PATH = /^\/v1\/statement\/(?:queued|executing)\/([0-9a-z_]{1,40})\/([0-9a-z]{1,40})\/(\d{1,9})$/;

/** @param asker whose token the edge has checked. */
export async function answerTrino(
  parts: TrinoParts,
  request: Request,
  asker: Pick<Asker, "token" | "sight">,
): Promise<Response> {
  const { token } = asker;
  const url = new URL(request.url);
  if (url.pathname === "/v1/info") return json({ ...INFO, uptime: "1.00m" });
  if (url.pathname === "/v1/statement") {
    if (request.method !== "POST") return plain(405, "POST a statement");
    return postStatement(parts, request, asker, url.origin);
  }
  const ended = /^\/v1\/query\/([0-9a-z_]{1,40})$/.exec(url.pathname);
  if (ended && request.method === "DELETE") return cancelled(await parts.query(ended[1]!).cancel(token));
  const [, id, slug, page] = PATH.exec(url.pathname) ?? [];
  if (id === undefined || slug === undefined) return plain(404, "Query not found");
  if (request.method === "DELETE") return cancelled(await parts.query(id).cancel(token));
  // A driver that is slow to read asks whether its statement is still there.
  if (request.method === "HEAD") return new Response(null, { status: 200 });
  if (request.method !== "GET") return plain(405, "GET or DELETE");
  const answer = await parts.query(id).poll(Number(page), token);
  if (!answer) return plain(404, "Query not found");
  return pageAnswer(answer, { id, slug, origin: url.origin });
}

const INFO = {
  nodeVersion: { version: TRINO_VERSION },
  environment: "eventpile",
  coordinator: true,
  starting: false,
} as const;

async function postStatement(
  parts: TrinoParts,
  request: Request,
  { token, sight }: Pick<Asker, "token" | "sight">,
  origin: string,
): Promise<Response> {
  const id = queryId(new Date());
  const slug = `x${crypto.randomUUID().replaceAll("-", "")}`;
  try {
    const asked = await readStatement(parts, await request.text(), sessionOf(request.headers));
    if (asked.kind === "done") {
      const columns = [booleanColumn("result")];
      const body = { ...head(id, origin), columns, data: [[true]], updateType: asked.updateType };
      return json({ ...body, stats: stats("FINISHED", 0, 1), warnings: [] }, asked.headers);
    }
    const { question, describe } = asked;
    await parts.query(id).start({ question, token, sight, describe });
    const nextUri = `${origin}/v1/statement/queued/${id}/${slug}/0`;
    return json({ ...head(id, origin), nextUri, stats: stats("QUEUED", 0, 0), warnings: [] });
  } catch (error) {
    if (error instanceof TrinoFailed) return failed(id, origin, error.error);
    console.error("statement could not be begun", error);
    return failed(id, origin, trinoError("GENERIC_INTERNAL_ERROR", "Something broke here"));
  }
}

function failed(id: string, origin: string, error: TrinoError): Response {
  return json({ ...head(id, origin), stats: stats("FAILED", 0, 0), error, warnings: [] });
}

function pageAnswer(answer: SpoolAnswer, { id, slug, origin }: { id: string; slug: string; origin: string }): Response {
  const { state, columns, page, next, error, rows, elapsedMs } = answer;
  const name =
    state === "running" ? "RUNNING" : state === "failed" ? "FAILED" : next === null ? "FINISHED" : "FINISHING";
  const body = JSON.stringify({
    ...head(id, origin),
    ...(next !== null && { nextUri: `${origin}/v1/statement/executing/${id}/${slug}/${next}` }),
    ...(columns && { columns }),
    stats: stats(name, elapsedMs, rows),
    ...(error && { error }),
    warnings: [],
  });
  // The page is JSON as it is, and can be long.
  const text = page ? `${body.slice(0, -1)},"data":[${new TextDecoder().decode(page)}]}` : body;
  return new Response(text, { headers: HEADERS });
}

const head = (id: string, origin: string) => ({ id, infoUri: `${origin}/v1/query/${id}` });

function stats(state: string, elapsedTimeMillis: number, processedRows: number) {
  const isOver = state === "FINISHED" || state === "FAILED";
  return {
    state,
    queued: state === "QUEUED",
    scheduled: state !== "QUEUED",
    nodes: 1,
    totalSplits: 1,
    queuedSplits: state === "QUEUED" ? 1 : 0,
    runningSplits: isOver || state === "QUEUED" ? 0 : 1,
    completedSplits: isOver ? 1 : 0,
    planningTimeMillis: 0,
    analysisTimeMillis: 0,
    cpuTimeMillis: 0,
    wallTimeMillis: elapsedTimeMillis,
    queuedTimeMillis: 0,
    elapsedTimeMillis,
    finishingTimeMillis: 0,
    physicalInputTimeMillis: 0,
    processedRows,
    processedBytes: 0,
    physicalInputBytes: 0,
    physicalWrittenBytes: 0,
    internalNetworkInputBytes: 0,
    peakMemoryBytes: 0,
    spilledBytes: 0,
  };
}

/** As Trino names its own: the time, a number, the coordinator; here the last two are drawn, for nobody counts. */
export function queryId(at: Date): string {
  const [day, time] = at.toISOString().slice(0, 19).replace(/[-:]/g, "").toLowerCase().split("t");
  const drawn = crypto.getRandomValues(new Uint32Array(2));
  const number = String(drawn[0]! % 100_000).padStart(5, "0");
  return `${day}_${time}_${number}_${(drawn[1]! % 36 ** 5).toString(36).padStart(5, "0")}`;
}

const HEADERS = { "content-type": "application/json", "cache-control": "no-store" };

const json = (body: unknown, headers: Readonly<Record<string, string>> = {}): Response =>
  new Response(JSON.stringify(body), { headers: { ...HEADERS, ...headers } });

const plain = (status: number, text: string): Response => new Response(text, { status });

const cancelled = (was: boolean): Response =>
  was ? new Response(null, { status: 204 }) : plain(404, "Query not found");
