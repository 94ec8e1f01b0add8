import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type BuiltFile, buildPages } from "../../scripts/build-pages.ts";

let folder: string;
let built: BuiltFile[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "eventpile-pages-"));
  built = await buildPages(folder);
  await writeFile(join(folder, "assets/live-OLD.js"), "");
  built = await buildPages(folder);
});
afterAll(() => rm(folder, { recursive: true }));

const gzipBytes = (name: string) => built.find((file) => file.name === name)!.gzipBytes;

describe("the built pages", () => {
  it("keep the beacon below 3 kB, gzip", () => {
    expect(gzipBytes("beacon.js")).toBeLessThan(3_000);
    expect(gzipBytes("beacon.js")).toBeGreaterThan(500);
  });

  it("load quickly: each below 150 kB of script, gzip, before SQL's editor", () => {
    for (const page of ["live", "support", "sql", "operations", "quarantine", "erasures"]) {
      const { gzipBytes: all, editorGzipBytes: editor = 0 } = built.find(({ name }) => name === `${page} script`)!;
      expect([page, all - editor < 150_000]).toEqual([page, true]);
      expect([page, editor > 0]).toEqual([page, page === "sql"]);
    }
  });

  it("load no more for a glance: all but SQL below 60 kB, SQL with its editor below 200 kB", () => {
    for (const page of ["live", "support", "operations", "quarantine", "erasures"])
      expect([page, gzipBytes(`${page} script`) < 60_000]).toEqual([page, true]);
    expect(gzipBytes("sql script")).toBeLessThan(200_000);
  });

  it("name only files that are there, and leave none behind from an earlier build", async () => {
    const assets = await readdir(join(folder, "assets"));
    expect(assets).not.toContain("live-OLD.js");
    for (const page of ["live", "support", "sql", "operations", "quarantine", "erasures"]) {
      const html = await readFile(join(folder, `${page}.html`), "utf8");
      const named = [...html.matchAll(/\/assets\/([^"]+)/g)].map((match) => match[1]);
      expect(named.length).toBeGreaterThan(1);
      for (const name of named) expect(assets).toContain(name);
    }
  });

  it("need nothing from another host and evaluate no text as code", async () => {
    const files = ["beacon.js", ...(await readdir(join(folder, "assets"))).map((name) => `assets/${name}`)];
    for (const file of files) {
      const text = await readFile(join(folder, file), "utf8");
      expect(text).not.toMatch(/\bnew Function\(|\beval\(/);
      expect(text.match(/(?:src|href|url\(|fetch\(|import\()\s*["'=]*https?:/)).toBeNull();
    }
  });
});
