/**
 * Miniflare, mended in four places; its source is changed as it is loaded.
 *
 * - It writes the runtime's configuration into one buffer that grows by 4 kB at a time and is copied whole each time: with
 *   24 MB of wasm in it, that takes 2 s of every start. Grown by 16 MB instead, it takes 0.05 s.
 * - To build that configuration it turns bindings to Workers of another runtime into bindings to its own proxy, in the
 *   options themselves. When a runtime crashed and is configured anew, those bindings name the proxy as the other Worker,
 *   and nobody is found there ("dev-registry-proxy"). It does so in a copy instead.
 * - What a runtime has said of itself is forgotten 5 minutes after it last said so, for good: a laptop that slept longer
 *   would wake to runtimes that do not find each other. The folder is one run's own, so nothing in it needs to be forgotten.
 * - Its stand-in for an object of another runtime keeps one connection to it. Once the object was reset, all that is asked over that
 *   connection is told of that reset, for good. It connects anew for each call instead, as a fresh stub does.
 */
import "./runtime-flags.ts";
import { registerHooks } from "node:module";
import type * as Miniflare from "miniflare";

const MENDED = [
  ["MIN_SINGLE_SEGMENT_GROWTH = 4096", "MIN_SINGLE_SEGMENT_GROWTH = 16777216"],
  [
    "const allWorkerOpts = this.#workerOpts;\n    const sharedOpts",
    "const allWorkerOpts = this.#workerOpts.map((of) => ({ ...of, config: { ...of.config, env: of.config.env && { ...of.config.env } } }));\n    const sharedOpts",
  ],
  ["stats.mtime.getTime() < Date.now() - 3e5", "false"],
  [
    'core/dev-registry-proxy.worker.js");\n  contents = import_fs.default.readFileSync(filePath, "utf8")',
    `core/dev-registry-proxy.worker.js");\n  contents = withoutKept(import_fs.default.readFileSync(filePath, "utf8"))`,
  ],
] as const;

/** @throws Error where a place is not found: another Miniflare may have mended it itself, or may have moved it. */
export async function loadMiniflare(): Promise<typeof Miniflare> {
  const hooks = registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (!url.endsWith("/miniflare/dist/src/index.js") || loaded.source == null) return loaded;
      return { ...loaded, source: mended(String(loaded.source)) };
    },
  });
  try {
    return await import("miniflare");
  } finally {
    hooks.deregister();
  }
}

/** In the source of the stand-in, which Miniflare reads as a file. */
const WITHOUT_KEPT = `
function withoutKept(source) {
  const kept = "this._cachedFetcher = fetcher, ";
  if (!source.includes(kept)) throw new Error("the stand-in for objects of another runtime is not what it was");
  return source.replace(kept, "");
}
`;

function mended(source: string): string {
  return MENDED.reduce((text, [broken, whole]) => {
    if (!text.includes(broken))
      throw new Error(`this Miniflare has no "${broken}": look again at scripts/local/miniflare.ts`);
    return text.replace(broken, () => whole);
  }, source + WITHOUT_KEPT);
}
