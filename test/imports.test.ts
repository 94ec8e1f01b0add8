import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect, it } from "vitest";

const root = new URL("..", import.meta.url).pathname;
/** Imports point from left to right only. */
const ROOMS = ["workers", "queues", "durable-objects", "r2-layout"] as const;

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.tsx?$/.test(name) && !name.includes("node_modules") && !name.includes("dist/"))
    .map((name) => join(folder, name));
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), "utf8");
  return [...text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)].map((match) =>
    relative(root, join(root, dirname(file), match[1]!)),
  );
}

it.each(ROOMS)("%s imports only from rooms to its right, and nothing imports scripts or tests", (room) => {
  const files = sources(room);
  expect(files.length).toBeGreaterThan(0);
  const allowed = ROOMS.slice(ROOMS.indexOf(room)) as readonly string[];
  const astray = files.flatMap((file) =>
    importsOf(file)
      .filter((target) => !allowed.includes(target.split("/")[0]!) && !target.startsWith("node_modules/"))
      .map((target) => `${file} imports ${target}`),
  );
  expect(astray).toEqual([]);
});

it("r2-layout is pure: no bindings, no clock, no randomness", () => {
  const impure = sources("r2-layout").filter((file) =>
    /cloudflare:|Date\.now\(|Math\.random\(|performance\.now\(|randomUUID|getRandomValues/.test(
      readFileSync(join(root, file), "utf8"),
    ),
  );
  expect(impure).toEqual([]);
});
