import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { TOOLS, toolSnippet } from "./clients/snippets.ts";
import { ENGINES } from "./engine.ts";
import { guideSnippet } from "./guide.ts";

it.each(ENGINES)("the guide has a snippet for %s that the interop check runs against another address", (engine) => {
  const snippet = guideSnippet(engine, "http://127.0.0.1:1234");
  expect(snippet).toContain("http://127.0.0.1:1234/iceberg");
  expect(snippet).not.toContain("localhost:8787");
});

it.each(TOOLS)("the guide for tools has a block for %s that the interop check runs against another address", (tool) => {
  const snippet = toolSnippet(tool, "http://127.0.0.1:1234");
  expect(snippet).toMatch(/127\.0\.0\.1(:1234|", port=1234)/);
  expect(snippet).not.toContain("8787");
});

it("names the versions that the check installs", () => {
  const guide = readFileSync(join(import.meta.dirname, "../../docs/engines.md"), "utf8");
  const install = readFileSync(join(import.meta.dirname, "install.ts"), "utf8");
  const version = /const ICEBERG = "([\d.]+)"/.exec(install)![1];
  for (const [, used] of guide.matchAll(/org\.apache\.iceberg:[\w.-]+:([\d.]+)/g)) expect(used).toBe(version);
  expect(guide).toContain(`iceberg-aws-bundle:${version}`);
});
