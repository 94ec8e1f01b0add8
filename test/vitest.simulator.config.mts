import { defineConfig } from "vitest/config";

/** Seeds of the simulator: two processes of pure computing, for as long as it takes. */
export default defineConfig({
  test: {
    name: "simulator",
    root: new URL("..", import.meta.url).pathname,
    include: ["test/simulator/seeds.test.ts"],
    fileParallelism: false,
    sequence: { groupOrder: 2 },
  },
});
