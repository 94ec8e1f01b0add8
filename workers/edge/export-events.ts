/**
 * All events of a user or device in a time, as a file: page after page, sent while they are read, so that a hundred
 * thousand events take the memory of one page. A file that cannot be whole breaks off, and no program takes it for whole:
 * the connection ends with an error.
 */
import { EVENT_COLUMNS, type EventRow } from "../../r2-layout/event-columns.ts";
import { SUPPORT, TIMELINE } from "../../r2-layout/limits.ts";
import type { AnyPage } from "./event-pages.ts";
import { badParameter } from "./parameters.ts";
import { eventJson } from "./timelines.ts";

export type ExportFormat = "json" | "ndjson" | "csv";

const TYPES = {
  json: "application/json",
  ndjson: "application/x-ndjson",
  csv: "text/csv; charset=utf-8",
} as const satisfies Record<ExportFormat, string>;

/** @throws Refused */
export function exportFormat(query: URLSearchParams): ExportFormat {
  const format = query.get("format") ?? "json";
  if (!Object.hasOwn(TYPES, format)) throw badParameter("format", Object.keys(TYPES).join(", "));
  return format as ExportFormat;
}

/** Events of one page of an export: as many as a page may have. */
export const EXPORT_PAGE = TIMELINE.pageLimitMax;

/** @param readPage the page that begins at a cursor; the first is read before there is an answer, so that its refusal is one. */
export async function exportAnswer(
  format: ExportFormat,
  readPage: (cursor: string | undefined) => Promise<AnyPage>,
): Promise<Response> {
  const first = await readPage(undefined);
  return new Response(streamed(encoded(format, pagesFrom(first, readPage))), {
    headers: {
      "content-type": TYPES[format],
      // Without a name in it: an identifier has no place in a header that proxies log.
      "content-disposition": `attachment; filename="eventpile-events.${format}"`,
      "cache-control": "private, no-store",
    },
  });
}

/** @throws RangeError beyond `SUPPORT.exportEvents` or `SUPPORT.exportPages`. */
export async function* pagesFrom(
  first: AnyPage,
  readPage: (cursor: string) => Promise<AnyPage>,
): AsyncGenerator<readonly EventRow[]> {
  let events = 0;
  let page = first;
  for (let pages = 1; ; pages++) {
    events += page.events.length;
    if (events > SUPPORT.exportEvents) throw new RangeError(`more than ${SUPPORT.exportEvents} events`);
    yield page.events;
    if (page.next === null) return;
    if (pages === SUPPORT.exportPages) throw new RangeError(`more than ${SUPPORT.exportPages} pages`);
    page = await readPage(page.next);
  }
}

/** Made when it is read: a reader that waits holds one page. */
function streamed(texts: AsyncGenerator<string>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await texts.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    async cancel() {
      await texts.return(undefined);
    },
  });
}

async function* encoded(format: ExportFormat, pages: AsyncIterable<readonly EventRow[]>): AsyncGenerator<string> {
  let begun = false;
  if (format === "csv") yield `${COLUMNS.join(",")}\r\n`;
  if (format === "json") yield '{"events":[';
  for await (const events of pages) {
    let text = "";
    for (const event of events) {
      if (format === "csv") text += csvLine(event);
      else if (format === "ndjson") text += `${JSON.stringify(eventJson(event))}\n`;
      else text += `${begun ? "," : ""}\n${JSON.stringify(eventJson(event))}`;
      begun = true;
    }
    if (text !== "") yield text;
  }
  if (format === "json") yield "\n]}\n";
}

const COLUMNS = Object.keys(EVENT_COLUMNS);

/** RFC 4180. */
function csvLine(event: EventRow): string {
  const json = eventJson(event);
  return `${COLUMNS.map((column) => csvField(json[column])).join(",")}\r\n`;
}

/**
 * Anybody can send an event, and this file is opened in spreadsheets: a text that one would take for a formula gets an
 * apostrophe in front, which they show as text.
 */
export function csvField(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const plain = typeof value === "string" ? value : JSON.stringify(value);
  const text = /^[=+\-@\t\r]/.test(plain) ? `'${plain}` : plain;
  return /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
}
