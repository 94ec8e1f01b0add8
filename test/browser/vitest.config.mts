import { defineConfig } from "vitest/config";

/** Real pages in Debian's Chromium against the whole local run. Two files at once: most of their time waits for a flush or a timer. */
export default defineConfig({
  test: {
    name: "browser",
    root: new URL("../..", import.meta.url).pathname,
    include: ["test/browser/**/*.test.ts"],
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 90_000,
  },
});
