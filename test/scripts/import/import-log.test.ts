import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, it } from "vitest";
import { importLog, type Unreadable } from "../../../scripts/import/import-log.ts";
import { LineIds } from "../../../scripts/import/line-ids.ts";
import type { LogEvent } from "../../../scripts/import/log-event.ts";

const FIXTURE = join(import.meta.dirname, "odd.access.log");
const folder = mkdtempSync(join(tmpdir(), "import-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function read(file: string): Promise<{ events: LogEvent[]; lines: number; unreadable: Unreadable }> {
  const events: LogEvent[] = [];
  const unreadable: Unreadable = { count: 0, examples: [] };
  const sender = { add: async (event: object) => void events.push(event as LogEvent) };
  const lines = await importLog(file, sender, { read() {}, line() {}, sent() {} }, unreadable);
  return { events, lines, unreadable };
}

function file(name: string, bytes: Uint8Array | string): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

describe("an import", () => {
  it("makes a page of a successful GET of a page, and http_request of the rest", async () => {
    const { events } = await read(FIXTURE);
    expect(events.map((event) => [event.event ?? event.type, event.properties.path, event.properties.status])).toEqual([
      ["page", "/", 200],
      ["http_request", "/style.css", 200],
      ["http_request", "/style.css", 200],
      ["http_request", "/basket", 303],
      ["page", "/docs/guide.html", 200],
      ["http_request", "/feed/rss", 200],
      ["http_request", "\\x16\\x03\\x01\\x00\\xee", 400],
      ["http_request", "-", 408],
      ["page", "/path", 200],
      ["http_request", "/moved", 301],
    ]);
    expect(events[3]).toMatchObject({
      timestamp: "2024-03-04T01:29:59.000Z",
      properties: { method: "POST", query: "add=7&x=%C3%BC", bytes: 0, remote_user: "anna" },
    });
    expect(events[0]).toMatchObject({ properties: { method: "GET", referrer: "https://search.example/?q=red+shoes" } });
  });

  it("counts and shows what it cannot read, and goes on", async () => {
    const { lines, events, unreadable } = await read(FIXTURE);
    expect(lines).toBe(13);
    expect(events.length + unreadable.count).toBe(13);
    expect(unreadable.examples.map(({ number, text }) => [number, text.slice(0, 12)])).toEqual([
      [10, "this is not "],
      [11, "203.0.113.9 "],
      [12, "203.0.113.9 "],
    ]);
  });

  it("keeps equal lines apart and gives the same ids again (promise 2)", async () => {
    const [first, second] = [await read(FIXTURE), await read(FIXTURE)];
    expect(new Set(first.events.map((event) => event.messageId)).size).toBe(first.events.length);
    expect(second.events).toEqual(first.events);
    expect(Math.max(...first.events.map((event) => event.messageId.length))).toBeLessThanOrEqual(100);
  });

  it("tells a device by address and user agent together", async () => {
    const { events } = await read(FIXTURE);
    expect(new Set(events.map((event) => event.anonymousId)).size).toBe(7);
  });

  it("reads gzip whatever the name says, in one member or more, with any line ends", async () => {
    const plain = readFileSync(FIXTURE);
    const { events } = await read(FIXTURE);
    const half = Math.floor(plain.length / 2);
    for (const bytes of [
      gzipSync(plain),
      Buffer.concat([gzipSync(plain.subarray(0, half)), gzipSync(plain.subarray(half))]),
      Buffer.from(plain.toString().replaceAll("\n", "\r\n")),
    ]) {
      expect((await read(file("copy", bytes))).events).toEqual(events);
    }
  });

  it("reads no lines from an empty file, and bounds a line without end", async () => {
    expect((await read(file("empty", ""))).lines).toBe(0);
    const { events, unreadable } = await read(file("long", `${"x".repeat(200_000)}\n${readFileSync(FIXTURE)}`));
    expect(events.length).toBe(10);
    expect(unreadable.count).toBe(4);
  });

  it("fails where the file is damaged, after what could be read", async () => {
    const damaged = gzipSync(readFileSync(FIXTURE)).subarray(0, -20);
    await expect(read(file("damaged", damaged))).rejects.toThrow();
  });
});

describe("line ids", () => {
  it("count equal lines within the newest lines and hold no more than two generations", () => {
    const ids = new LineIds(10);
    const line = (text: string) => Buffer.from(text);
    expect(ids.next(line("a"))).toMatch(/-1$/);
    for (let i = 0; i < 9; i++) ids.next(line(`other ${i}`));
    expect(ids.next(line("a"))).toMatch(/-2$/);
    for (let i = 0; i < 25; i++) ids.next(line(`more ${i}`));
    expect(ids.next(line("a"))).toMatch(/-1$/);
  });
});
