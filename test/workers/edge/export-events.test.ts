import { describe, expect, it } from "vitest";
import { EVENT_COLUMNS, type EventRow } from "../../../r2-layout/event-columns.ts";
import { SUPPORT } from "../../../r2-layout/limits.ts";
import { csvField, type ExportFormat, exportAnswer, pagesFrom } from "../../../workers/edge/export-events.ts";
import { plainEvent, START } from "../../durable-objects/user-timeline/events.ts";

const events = Array.from({ length: 7 }, (_, i) =>
  plainEvent({
    event_id: `e${i}`,
    event_time: START + i,
    event_name: i === 3 ? '=cmd|"/c calc"!A1' : "page",
    properties: { note: 'a "quoted"\nline, and more', n: "-5" },
  }),
);

/** Pages of these sizes, in turn. */
function reading(rows: readonly EventRow[], size: number) {
  return async (cursor: string | undefined) => {
    const at = Number(cursor ?? 0);
    return { events: rows.slice(at, at + size), next: at + size < rows.length ? String(at + size) : null };
  };
}

const exported = async (format: ExportFormat, size: number) =>
  (await exportAnswer(format, reading(events, size))).text();

describe("an export", () => {
  it.each([1, 3, 100])("has every event once, in each format, from pages of %i", async (size) => {
    const ids = events.map(({ event_id }) => event_id);
    const json = JSON.parse(await exported("json", size)) as { events: Record<string, unknown>[] };
    expect(json.events.map(({ event_id }) => event_id)).toEqual(ids);
    expect(json.events[0]).toMatchObject({
      event_time: "2026-11-22T22:00:00.000000Z",
      properties: events[0]!.properties,
    });
    const lines = (await exported("ndjson", size)).trimEnd().split("\n");
    expect(lines.map((line) => (JSON.parse(line) as EventRow).event_id)).toEqual(ids);
    const csv = await exported("csv", size);
    expect(csv.split("\r\n")[0]).toBe(Object.keys(EVENT_COLUMNS).join(","));
    expect(csv.split("\r\n")).toHaveLength(events.length + 2);
  });

  it("of nothing is an empty list, and a header line", async () => {
    const nothing = async () => ({ events: [], next: null });
    expect(await (await exportAnswer("json", nothing)).json()).toEqual({ events: [] });
    expect((await (await exportAnswer("csv", nothing)).text()).split("\r\n")).toHaveLength(2);
  });

  it.each(["=1+1", "+1", "-1", "@a", "\tx", "\rx"])("has no formula for a spreadsheet to run: %j", (text) => {
    expect(csvField(text).replace(/^"/, "")).toMatch(/^'/);
  });

  it("leaves numbers and other texts as they are", () => {
    expect([csvField(-5), csvField("a b"), csvField(null), csvField('say "hi"'), csvField({ a: 1 })]).toEqual([
      "-5",
      "a b",
      "",
      '"say ""hi"""',
      '"{""a"":1}"',
    ]);
  });

  it("promise 9: has SUPPORT.exportEvents events and breaks off with one more, rather than pass for whole", async () => {
    const page = (count: number) => ({ events: new Array<EventRow>(count).fill(events[0]!), next: null });
    const count = async (first: number, second: number) => {
      let sum = 0;
      for await (const some of pagesFrom({ ...page(first), next: "more" }, async () => page(second)))
        sum += some.length;
      return sum;
    };
    expect(await count(SUPPORT.exportEvents - 1, 1)).toBe(SUPPORT.exportEvents);
    await expect(count(SUPPORT.exportEvents - 1, 2)).rejects.toThrow(RangeError);
  });

  it("promise 9: reads SUPPORT.exportPages pages, and breaks off where there is one more", async () => {
    const pages = async (wanted: number) => {
      let read = 1;
      const next = async () => ({ events: [], next: ++read < wanted ? "more" : null });
      for await (const _ of pagesFrom({ events: [], next: "more" }, next));
      return read;
    };
    expect(await pages(SUPPORT.exportPages)).toBe(SUPPORT.exportPages);
    await expect(pages(SUPPORT.exportPages + 1)).rejects.toThrow(RangeError);
  });
});
