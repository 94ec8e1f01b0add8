import { defineConfig } from "vitest/config";

/** Pure code, in Node. */
export default defineConfig({
  test: {
    name: "node",
    root: new URL("..", import.meta.url).pathname,
    include: ["test/**/*.test.ts"],
    exclude: [
      "test/**/*.workerd.test.ts",
      "test/**/*.miniflare.test.ts",
      "test/system/**",
      "test/browser/**",
      "**/node_modules/**",
    ],
  },
});
