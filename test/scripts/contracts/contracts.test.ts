/** `npm run contracts` as a repository's own checks run it. What it asks the registry is in test/system. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../../..");
const run = promisify(execFile);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "eventpile-contracts-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function contracts(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  try {
    const { stdout, stderr } = await run(process.execPath, [join(ROOT, "scripts/contracts.ts"), ...args]);
    return { code: 0, out: stdout, err: stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, out: stdout, err: stderr };
  }
}

const put = async (path: string, document: unknown) => {
  await mkdir(join(folder, path, ".."), { recursive: true });
  await writeFile(join(folder, path), typeof document === "string" ? document : JSON.stringify(document));
};
const contract = (event: string, version: number, properties: Record<string, unknown>, more = {}) => ({
  "x-event": event,
  "x-version": version,
  "x-owner": "growth@example.com",
  description: `${event} happened.`,
  type: "object",
  additionalProperties: false,
  properties,
  ...more,
});

describe("npm run contracts -- check", () => {
  it("passes versions that may follow each other", async () => {
    await put("signed-up/1.json", contract("Signed up", 1, { plan: { type: "string" } }));
    await put("signed-up/2.json", contract("Signed up", 2, { plan: { type: "string" }, seats: { type: "integer" } }));
    await put("bought.json", contract("Bought", 1, {}));
    expect(await contracts("check", folder)).toEqual({
      code: 0,
      out: "3 contracts of 2 events may be registered\n",
      err: "",
    });
  });

  it("fails, and names each file, field, reason and what would pass", async () => {
    await put("a/1.json", contract("Signed up", 1, { plan: { type: "string" } }));
    await put("a/2.json", contract("Signed up", 2, { plan: { type: "integer" } }));
    await put("b.json", contract("Bought", 2, {}));
    await put("c.json", contract("Sold", 1, { plan: { type: "text" } }));
    await put("d.json", "{");
    const { code, err } = await contracts("check", folder);
    expect(code).toBe(1);
    const lines = err
      .trim()
      .split("\n")
      .map((line) => line.replace(`${folder}/`, ""));
    expect(lines.length).toBe(5);
    expect(lines.sort()).toEqual([
      "4 faults",
      "a/2.json: #/properties/plan breaks version 1: the type is another (TYPE_CHANGED). It would pass to keep the type; a field of another type is another field",
      "b.json: is version 2 where 1 comes next",
      "c.json: #/properties/plan/type must be of string, number, integer, boolean, null, object, array",
      expect.stringMatching(/^d\.json: no JSON/),
    ]);
    expect((await contracts("check", folder, "--compatibility", "NONE")).err).not.toContain("TYPE_CHANGED");
  });

  it("says how it is used, and what is missing", async () => {
    expect(await contracts("chek")).toMatchObject({ code: 2, err: expect.stringMatching(/no command chek\nusage:/) });
    expect(await contracts("check", folder)).toMatchObject({ code: 1, err: expect.stringMatching(/has no contracts/) });
    expect(await contracts("check", folder, "--policy", "mild")).toMatchObject({ code: 1 });
  });
});

describe("npm run contracts -- types", () => {
  it("makes calls that take what the contract takes, and nothing else", async () => {
    const item = {
      type: "object",
      title: "Item",
      properties: { id: { type: "string" } },
      required: ["id"],
      additionalProperties: false,
    };
    const items = { items: { type: "array", items: { $ref: "#/$defs/item" } } };
    await put(
      "contracts/1.json",
      contract("Signed up", 1, { plan: { enum: ["free", "pro"] }, title: { type: "string" } }, { required: ["plan"] }),
    );
    await put("contracts/2.json", contract("signed up!", 1, { seats: { type: "integer" } }));
    await put("contracts/3.json", contract("2nd order", 1, items, { $defs: { item } }));
    await put("contracts/4.json", contract("Order */", 1, items, { $defs: { item } }));
    const out = join(folder, "tracking.ts");
    expect(await contracts("types", join(folder, "contracts"), "--out", out)).toMatchObject({
      code: 0,
      out: `${out}: 4 events\n`,
    });
    const use = (call: string) => `import { createTracker } from "./tracking.ts";
const track = createTracker({ track: (event, properties) => [event, properties] as const });
${call}
`;
    await put(
      "right.ts",
      use(
        'track.signedUp({ plan: "pro", title: "x" }); track.signedUp2({}); track.event2NdOrder({ items: [{ id: "1" }] }); track.order({});',
      ),
    );
    await put(
      "wrong.ts",
      use('track.signedUp({ plan: "gold" });\ntrack.signedUp({});\ntrack.signedUp2({ seat: 1 });\ntrack.gone({});'),
    );
    const compilerOptions = {
      noEmit: true,
      strict: true,
      allowImportingTsExtensions: true,
      module: "esnext",
      moduleResolution: "bundler",
      types: [],
    };
    const check = async (file: string) => {
      await put(`${file}.json`, { compilerOptions, files: [file] });
      return run(join(ROOT, "node_modules/.bin/tsc"), ["-p", join(folder, `${file}.json`)]);
    };
    expect(await check("right.ts").catch(({ stdout }: { stdout: string }) => stdout)).toMatchObject({ stdout: "" });
    const { stdout } = (await check("wrong.ts").catch((error: unknown) => error)) as { stdout: string };
    const wrong = [...stdout.matchAll(/wrong\.ts\((\d+),/g)].map(([, line]) => Number(line));
    expect(wrong).toEqual([3, 4, 5, 6]);
  });
});
