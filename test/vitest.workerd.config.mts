import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";

const object = (className: string) => ({ className, useSQLite: true });

/** Objects and queue consumers, in workerd with real SQLite, R2 and queues. */
export default defineConfig({
  plugins: [
    cloudflareTest({
      main: new URL("workerd-main.ts", import.meta.url).pathname,
      miniflare: {
        compatibilityDate: "2026-08-15",
        compatibilityFlags: ["nodejs_compat"],
        // As wrangler does it; without, vite would take the module's imports for files.
        modulesRules: [{ type: "CompiledWasm", include: ["**/*.wasm"] }],
        bindings: { SHARDS: "1", IDENTITY_KEY: "test-identity-key" },
        r2Buckets: { BUCKET: "eventpile" },
        durableObjects: {
          EVENT_LOG: object("EventLog"),
          SINK_CURSOR: object("SinkCursor"),
          LAKE_CATALOG: object("LakeCatalog"),
          USER_TIMELINE: object("UserTimeline"),
          EMAIL_INDEX: object("EmailIndex"),
          MINUTE_ROLLUP: object("MinuteRollup"),
          LIVE_HUB: object("LiveHub"),
          QUERY_BUDGET: object("QueryBudget"),
          REPLAY_DESK: object("ReplayDesk"),
          TILE_ROLLUP: object("TileRollup"),
          TILE_REGISTRY: object("TileRegistry"),
          CONTRACT_REGISTRY: object("ContractRegistry"),
          PII_KEY: object("PiiKey"),
          PII_AUDIT: object("PiiAudit"),
          CONTRACT_HEALTH: object("ContractHealth"),
          CONTRACT: object("ContractObject"),
        },
        // Consumed by nobody here: a test calls the handlers itself.
        queueProducers: {
          WAKE_LAKE: "lake",
          WAKE_SESSIONS: "sessions",
          WAKE_ROLLUPS: "rollups",
          MAINTENANCE: "maintenance",
          REPLAYS: "replays",
        },
      },
    }),
  ],
  test: {
    name: "workerd",
    root: new URL("..", import.meta.url).pathname,
    include: [
      "test/durable-objects/**/*.workerd.test.ts",
      "test/queues/**/*.workerd.test.ts",
      "test/r2-layout/**/*.workerd.test.ts",
      "test/simulator/**/*.workerd.test.ts",
    ],
    testTimeout: 60_000,
    // Of itself a second, which is short where others have the cores.
    expect: { poll: { timeout: 10_000 } },
    // Its package ships ES modules and does not say so; bundled, that does not matter.
    deps: { optimizer: { ssr: { enabled: true, include: ["itty-durable"] } } },
  },
});
