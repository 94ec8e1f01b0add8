/**
 * Node's module hooks for simulated runs. The real code is loaded as it is, but for what only workerd has
 * (`cloudflare:workers`, wasm modules), the Parquet encoder and the signing of receipts (codec), and state that modules keep: a run must not
 * depend on the runs before it in the same process. A mutation (mutations.ts) is text replaced in one file on its way in.
 *
 * To be imported before anything of the real code.
 */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const ROOT = resolve(import.meta.dirname, "../..");
const REAL = pathToFileURL(`${ROOT}/`).href;
const CODEC = pathToFileURL(join(import.meta.dirname, "codec/")).href;

const ZLIB = new URL("zlib.ts", CODEC).href;

/** Texts that are replaced, in this file where none is named; each must occur there exactly once. */
export interface Mutation {
  readonly file: string;
  readonly edits: readonly (readonly [find: string, replace: string, file?: string])[];
}

declare global {
  /** Puts module state back to what it was when the modules were loaded. */
  var simulatorResets: (() => void)[];
  /** By constant: makes it small, or puts it back. */
  var simulatorConstants: Map<string, (tight: boolean) => void>;
}
globalThis.simulatorResets = [];
globalThis.simulatorConstants = new Map();

const SWAPPED = new Map(
  ["parquet-writer", "parquet-reader", "parquet-footer", "parquet-merge", "signed-receipt"].map((name) => [
    pathToFileURL(join(ROOT, "r2-layout", `${name}.ts`)).href,
    new URL(`${name}.ts`, CODEC).href,
  ]),
);

const WORKERS = `export class DurableObject { constructor(ctx, env) { this.ctx = ctx; this.env = env; } }
export class WorkerEntrypoint { constructor(ctx, env) { this.ctx = ctx; this.env = env; } }
export class RpcTarget {}
export const env = {};`;

/** Module state, by what must be added to a file to put it back. */
const STATEFUL: Readonly<Record<string, string>> = {
  "queues/lake/build-turn.ts": "globalThis.simulatorResets.push(() => { last = Promise.resolve(); });",
  "workers/pipeline/index.ts": "globalThis.simulatorResets.push(() => { barred = undefined; });",
  "queues/rollups/tiles.ts": "globalThis.simulatorResets.push(() => { compiled.clear(); });",
  // Made of a limit when it is loaded: a patient run looks again after 20 minutes.
  "queues/replay/slice.ts":
    'globalThis.simulatorConstants.set("patience", (on) => { lookAgain.inMs = on ? 1_200_000 : REPLAY.lookAgainMs; });',
};

/** Constants inside of modules that some runs have smaller (tight-limits.ts): what needs a flood then happens in a few commits. */
const TIGHTENED: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  "durable-objects/event-log/dedup-window.ts": { RECENT_IDS: 32, RECENT_COMMITS: 3, RUNS_PER_HOUR: 3 },
  "durable-objects/event-log/id-runs.ts": { IDS_PER_SLICE: 16, ROWS_PER_DELETE: 1 },
};

const ULIDX = `import * as real from "ulidx?real";
export * from "ulidx?real";
export function monotonicFactory(prng) {
  let next = real.monotonicFactory(prng);
  globalThis.simulatorResets.push(() => { next = real.monotonicFactory(prng); });
  return (time) => next(time);
}`;

/** Of the QueryBudget, which no run asks; its package needs a bundler. */
const ITTY = "export const createDurable = () => class {};";

export function installHooks(mutation: Mutation | null = null): void {
  const editsOf = (url: string) =>
    mutation?.edits.filter(([, , file = mutation.file]) => pathToFileURL(join(ROOT, file)).href === url) ?? [];
  const byUrl = <T>(files: Readonly<Record<string, T>>) =>
    new Map(Object.entries(files).map(([file, value]) => [pathToFileURL(join(ROOT, file)).href, value]));
  const [stateful, tightened] = [byUrl(STATEFUL), byUrl(TIGHTENED)];
  registerHooks({
    resolve(specifier, context, next) {
      if (specifier === "cloudflare:workers") return { url: "simulated:workers", format: "module", shortCircuit: true };
      if (specifier.endsWith(".wasm")) return { url: "simulated:wasm", format: "module", shortCircuit: true };
      if (specifier === "ulidx") return { url: "simulated:ulidx", format: "module", shortCircuit: true };
      if (specifier === "node:zlib" && context.parentURL?.startsWith(REAL) && !context.parentURL.startsWith(CODEC)) {
        return { url: ZLIB, shortCircuit: true };
      }
      if (specifier === "itty-durable") return { url: "simulated:itty", format: "module", shortCircuit: true };
      if (specifier === "ulidx?real") return next("ulidx", { ...context, parentURL: import.meta.url });
      const resolved = next(specifier, context);
      // What stands in for a module imports that module itself.
      const swapped = context.parentURL?.startsWith(CODEC) ? undefined : SWAPPED.get(resolved.url);
      return swapped ? { ...resolved, url: swapped } : resolved;
    },
    load(url, context, next) {
      if (url === "simulated:workers") return { format: "module", source: WORKERS, shortCircuit: true };
      if (url === "simulated:wasm") return { format: "module", source: "export default null;", shortCircuit: true };
      if (url === "simulated:itty") return { format: "module", source: ITTY, shortCircuit: true };
      if (url === "simulated:ulidx") return { format: "module", source: ULIDX, shortCircuit: true };
      const edits = editsOf(url);
      if (edits.length === 0 && !stateful.has(url) && !tightened.has(url)) return next(url, context);
      let source = `${readFileSync(fileURLToPath(url), "utf8")}\n${stateful.get(url) ?? ""}`;
      for (const [find, replace] of edits) source = replacedOnce(source, find, replace);
      for (const [name, tight] of Object.entries(tightened.get(url) ?? {})) {
        source = `${replacedOnce(source, `const ${name} = `, `let ${name} = `)}
const real_${name} = ${name};
globalThis.simulatorConstants.set("${name}", (tight) => { ${name} = tight ? ${tight} : real_${name}; });`;
      }
      return { format: "module-typescript", source, shortCircuit: true };
    },
  });
}

/** @throws where the text is not there exactly once. */
export function replacedOnce(source: string, find: string, replace: string): string {
  const parts = source.split(find);
  if (parts.length !== 2) throw new Error(`found ${parts.length - 1} times: ${find}`);
  return parts.join(replace);
}
