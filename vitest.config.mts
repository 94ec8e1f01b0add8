import "./scripts/local/runtime-flags.ts";
import { defineConfig } from "vitest/config";

/**
 * `node` for pure code, `workerd` for objects and consumers in the real runtime, `edge` for the HTTP edge in it,
 * `query` for the SQL Worker built as it is deployed, `system` for the whole, started as `npm start` does.
 */
export default defineConfig({
  // As many as a small machine has cores: the default leaves one idle, which of two is half.
  test: { projects: ["test/vitest.*.config.mts"], maxWorkers: 2 },
});
