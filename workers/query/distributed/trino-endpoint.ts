/** A Trino server asked by its client protocol: the statement is posted, pages are polled for, and what is left is cancelled. */
import type { EngineColumn, Json } from "./arrow-rows.ts";
import { EngineRefused, type RowSink } from "./engine-rows.ts";
import { exactJson } from "./exact-json.ts";
import type { DistributedSettings } from "./settings.ts";

interface Page {
  readonly nextUri?: string;
  readonly columns?: readonly EngineColumn[];
  readonly data?: readonly (readonly Json[])[];
  readonly error?: { readonly message?: string; readonly errorName?: string };
}

type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** @throws EngineRefused with the server's message; what `sink` throws ends the statement there, too. */
export async function askTrino(
  { url, user, token }: Extract<DistributedSettings, { kind: "trino" }>,
  sql: string,
  sink: RowSink,
  signal: AbortSignal,
  send: Fetch = fetch,
): Promise<void> {
  const headers = {
    "x-trino-user": user,
    "x-trino-source": "eventpile",
    "x-trino-time-zone": "UTC",
    "x-trino-client-capabilities": "PARAMETRIC_DATETIME",
    ...(token && { authorization: `Bearer ${token}` }),
  };
  let next: string | undefined;
  let known = false;
  try {
    let page = await pageOf(await send(`${url}/v1/statement`, { method: "POST", headers, body: sql, signal }));
    for (;;) {
      if (page.error) throw new EngineRefused(page.error.message ?? page.error.errorName ?? "no message");
      if (page.columns && !known) {
        known = true;
        sink.columns(page.columns);
      }
      if (page.data && page.data.length > 0) sink.rows(page.data);
      next = page.nextUri;
      if (next === undefined) break;
      // Only to where it was asked: the token goes along.
      if (new URL(next).host !== new URL(url).host) throw new EngineRefused("it sends its client to another host");
      page = await pageOf(await send(next, { headers, signal }));
    }
    next = undefined;
  } finally {
    if (next !== undefined) await send(next, { method: "DELETE", headers }).catch(() => undefined);
  }
  if (!known) throw new EngineRefused("the answer has no columns");
}

async function pageOf(response: Response): Promise<Page> {
  const text = await response.text();
  if (!response.ok) throw new EngineRefused(`status ${response.status}: ${text.slice(0, 300)}`);
  return exactJson(text) as Page;
}
