import { defineConfig } from "vitest/config";

/** Pure code, in Node. */
export default defineConfig({
  test: {
    name: "node",
    // A bound against standing still, not a measure: machines are shared.
    testTimeout: 30_000,
    root: new URL("..", import.meta.url).pathname,
    include: ["test/**/*.test.ts"],
    exclude: [
      "test/**/*.workerd.test.ts",
      "test/**/*.miniflare.test.ts",
      "test/system/**",
      "test/simulator/seeds.test.ts",
      "test/browser/**",
      "**/node_modules/**",
    ],
  },
});
