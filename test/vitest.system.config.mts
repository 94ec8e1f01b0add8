import { defineConfig } from "vitest/config";

/** The whole system as `npm start` runs it, with real clients; one file at a time, for two cores. */
export default defineConfig({
  test: {
    name: "system",
    root: new URL("..", import.meta.url).pathname,
    include: ["test/system/**/*.test.ts"],
    fileParallelism: false,
    // After the others: what it starts takes both cores.
    sequence: { groupOrder: 1 },
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
