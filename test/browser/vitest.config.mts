import { defineConfig } from "vitest/config";

/** Real pages in Debian's Chromium against the whole local run; one file at a time, for two cores. */
export default defineConfig({
  test: {
    name: "browser",
    root: new URL("../..", import.meta.url).pathname,
    include: ["test/browser/**/*.test.ts"],
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 90_000,
  },
});
