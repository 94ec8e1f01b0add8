/**
 * Miniflare, quicker to start. It writes the runtime's configuration into one buffer that grows by 4 kB at a time and
 * is copied whole each time: with 24 MB of wasm in it, that takes 2 s of every start. Grown by 16 MB instead, it takes
 * 0.05 s. Where the constant is not found any more, Miniflare runs as it is.
 */
import "./runtime-flags.ts";
import { registerHooks } from "node:module";
import type * as Miniflare from "miniflare";

const SLOW = "MIN_SINGLE_SEGMENT_GROWTH = 4096";
const FAST = "MIN_SINGLE_SEGMENT_GROWTH = 16777216";

export async function loadMiniflare(): Promise<typeof Miniflare> {
  const hooks = registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (!url.endsWith("/miniflare/dist/src/index.js") || loaded.source == null) return loaded;
      return { ...loaded, source: String(loaded.source).replace(SLOW, FAST) };
    },
  });
  try {
    return await import("miniflare");
  } finally {
    hooks.deregister();
  }
}
