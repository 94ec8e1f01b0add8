import { defineConfig } from "vitest/config";

/**
 * The query Worker, bundled as it is deployed, in the real runtime: it hides globals while DuckDB's glue is evaluated,
 * so it cannot be the pool's own main. Planner tests need no runtime and run in the `node` project.
 */
export default defineConfig({
  test: {
    name: "query",
    root: new URL("..", import.meta.url).pathname,
    include: ["test/workers/query/**/*.miniflare.test.ts"],
    fileParallelism: false,
    testTimeout: 30_000,
    // Of itself a second, which is short where others have the cores.
    expect: { poll: { timeout: 10_000 } },
    hookTimeout: 60_000,
  },
});
