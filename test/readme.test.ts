/** What the README tells people to type, held to what it is about. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parse } from "smol-toml";
import { expect, it } from "vitest";

const ROOT = resolve(import.meta.dirname, "..");
const read = (path: string): string => readFileSync(resolve(ROOT, path), "utf8");
const README = read("README.md");
const CONFIGS = ["wrangler.toml", "workers/objects/wrangler.toml", "workers/pipeline/wrangler.toml"];

interface Queues {
  readonly queues?: {
    readonly producers?: readonly { readonly queue: string }[];
    readonly consumers?: readonly { readonly queue: string; readonly dead_letter_queue?: string }[];
  };
}

it("has every queue created that a Worker sends to, consumes, or leaves dead letters in", () => {
  const used = CONFIGS.map((path) => parse(read(path)) as Queues).flatMap(({ queues = {} }) => [
    ...(queues.producers ?? []).map(({ queue }) => queue),
    ...(queues.consumers ?? []).flatMap(({ queue, dead_letter_queue: dead }) => [queue, ...(dead ? [dead] : [])]),
  ]);
  const created = /for q in ([^;]+); do npx wrangler queues create/.exec(README)?.[1]?.split(" ");
  expect(created?.toSorted()).toEqual([...new Set(used)].toSorted());
});

it("names no npm script that is not there", () => {
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
  const named = Array.from(README.matchAll(/npm run ([a-z:-]+[a-z])/g), ([, name]) => name!);
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter((name) => !(name in scripts))).toEqual([]);
});
