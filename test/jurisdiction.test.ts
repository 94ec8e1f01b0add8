/** What keeps every object, and every way to the bucket, within the jurisdiction that is set: no binding escapes it. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { inJurisdiction, OBJECT_BINDINGS, parseJurisdiction } from "../durable-objects/jurisdiction.ts";

const root = new URL("..", import.meta.url).pathname;
const read = (file: string) => readFileSync(join(root, file), "utf8");
const CONFIGURATIONS = [
  "wrangler.toml",
  "workers/pipeline/wrangler.toml",
  "workers/objects/wrangler.toml",
  "workers/query/wrangler.toml",
];
const sources = ["workers", "queues", "durable-objects"].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name)),
);

interface Namespace {
  jurisdiction(name: string): Namespace;
  getByName(name: string): string;
}

/** A namespace that says where it was asked. */
const namespace = (place = "anywhere"): Namespace => ({
  jurisdiction: (name) => namespace(name),
  getByName: (name) => `${name} in ${place}`,
});

describe("a view of bindings", () => {
  it.each(OBJECT_BINDINGS)("asks %s within the jurisdiction, and leaves every other binding as it is", (name) => {
    const bucket = {};
    const env = Object.assign({ JURISDICTION: "eu", BUCKET: bucket, SHARDS: "1,2" }, { [name]: namespace() });
    const view = inJurisdiction(env);
    expect(view[name]!.getByName("0")).toBe("0 in eu");
    expect(view.BUCKET).toBe(bucket);
    expect(view.SHARDS).toBe("1,2");
  });

  it("is one for each env, and its own view: nothing is moved twice", () => {
    const env = { JURISDICTION: "eu", EVENT_LOG: namespace() };
    const view = inJurisdiction(env);
    expect(inJurisdiction(env)).toBe(view);
    expect(inJurisdiction(view)).toBe(view);
  });

  it("asks no service binding for a jurisdiction: it would call the other Worker", () => {
    const asked: PropertyKey[] = [];
    const service = new Proxy({}, { get: (_, name) => asked.push(name) });
    expect(inJurisdiction({ JURISDICTION: "eu", QUERY: service }).QUERY).toBe(service);
    expect(asked).toEqual([]);
  });

  it.each([undefined, ""])("is the env itself where the setting is %j", (JURISDICTION) => {
    const env = { JURISDICTION, EVENT_LOG: namespace() };
    expect(inJurisdiction(env)).toBe(env);
  });

  it.each(["EU", "eu ", "us", 1, null])("is refused where the setting is %j", (JURISDICTION) => {
    expect(() => parseJurisdiction(JURISDICTION)).toThrow(RangeError);
    expect(() => inJurisdiction({ JURISDICTION, EVENT_LOG: namespace() })).toThrow(RangeError);
  });
});

describe("no binding escapes", () => {
  it("every binding to objects in every configuration is known by name, and no other is", () => {
    const bound = CONFIGURATIONS.flatMap((file) =>
      [...read(file).matchAll(/\{ name = "(\w+)", class_name = /g)].map((match) => match[1]!),
    );
    expect([...new Set(bound)].sort()).toEqual([...OBJECT_BINDINGS]);
  });

  it("every configuration has the same setting, and its bucket is bound there", () => {
    const settings = CONFIGURATIONS.map((file) => /^JURISDICTION = "(.*)"$/m.exec(read(file))?.[1]);
    expect(new Set(settings).size).toBe(1);
    const [setting] = settings;
    expect(() => parseJurisdiction(setting)).not.toThrow();
    for (const file of CONFIGURATIONS) {
      for (const [bucket] of read(file).matchAll(/\[\[r2_buckets\]\]\n(?:.+\n)*/g)) {
        expect(/^jurisdiction = "(.*)"$/m.exec(bucket)?.[1] ?? "", file).toBe(setting);
      }
    }
  });

  it("whoever is handed bindings by the runtime, and asks objects, takes them through the view", () => {
    const handed = sources.filter((file) => /extends DurableObject\b|satisfies ExportedHandler/.test(read(file)));
    const asking = handed.filter(
      (file) =>
        /\b[eE]nv\.[A-Z_]+\.(getByName|get|idFromName)\(|queryParts\(|appOf\(/.test(read(file)) ||
        OBJECT_BINDINGS.some((name) => new RegExp(`env\\.${name}\\b`).test(read(file))),
    );
    expect(asking.length).toBeGreaterThan(5);
    expect(asking.filter((file) => !/\binJurisdiction\((env|bindings)\)/.test(read(file)))).toEqual([]);
  });

  it("every handler and constructor takes the runtime's bindings once, for the view alone", () => {
    for (const file of sources) {
      const uses = [...read(file).matchAll(/\bbindings\b(?!:)/g)].length;
      if (!/inJurisdiction\(bindings\)/.test(read(file))) continue;
      const taken = [...read(file).matchAll(/inJurisdiction\(bindings\)/g)].length;
      const declared = [...read(file).matchAll(/(?:fetch|queue|scheduled)\(\w+, bindings\b/g)].length;
      expect(uses, file).toBe(taken + declared);
    }
  });

  it("nobody takes bindings from the module, or makes an object by another way than a binding", () => {
    const astray = sources.filter((file) =>
      /import \{[^}]*\benv\b[^}]*\} from "cloudflare:workers"|newUniqueId|ctx\.exports/.test(read(file)),
    );
    expect(astray).toEqual([]);
  });
});
