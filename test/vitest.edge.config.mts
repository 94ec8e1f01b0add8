import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";
import { answerPreview } from "./workers/edge/correction-lake.ts";
import {
  ACCESS,
  MASKED_COLUMNS,
  SHARDS,
  TEST_TOKENS,
  TEST_WRITE_KEYS,
  USER_TOKEN_KEYS,
} from "./workers/edge/edge-config.ts";

/** Of the team whose assertions the edge takes; tests sign with it. */
const accessKey = generateKeyPairSync("rsa", { modulusLength: 2048 });
const jwk = (key: KeyObject) => ({ ...key.export({ format: "jwk" }), kid: "test", alg: "RS256" });

const object = (className: string) => ({ className, useSQLite: true });
const shards = Array.from({ length: SHARDS }, (_, shard) => shard);

/** The HTTP edge in workerd, with real queues (their consumer keeps what it is handed) and the real objects. */
export default defineConfig({
  plugins: [
    cloudflareTest({
      main: new URL("workers/edge/edge-main.ts", import.meta.url).pathname,
      miniflare: {
        compatibilityDate: "2026-08-15",
        compatibilityFlags: ["nodejs_compat"],
        bindings: {
          SHARDS: String(SHARDS),
          IDENTITY_KEY: "test-identity-key",
          WRITE_KEYS: TEST_WRITE_KEYS,
          TOKENS: TEST_TOKENS,
          ACCESS: JSON.stringify(ACCESS),
          TEST_ACCESS_KEY: JSON.stringify(jwk(accessKey.privateKey)),
          MASKED_COLUMNS: JSON.stringify(MASKED_COLUMNS),
          USER_TOKEN_KEYS: JSON.stringify(USER_TOKEN_KEYS),
        },
        r2Buckets: { BUCKET: "eventpile" },
        durableObjects: {
          EVENT_LOG: object("EventLog"),
          SINK_CURSOR: object("SinkCursor"),
          LAKE_CATALOG: object("LakeCatalog"),
          USER_TIMELINE: object("UserTimeline"),
          EMAIL_INDEX: object("EmailIndex"),
          MINUTE_ROLLUP: object("MinuteRollup"),
          LIVE_HUB: object("LiveHub"),
          REPLAY_DESK: object("ReplayDesk"),
          CONTRACT_REGISTRY: object("ContractRegistry"),
          PII_KEY: object("PiiKey"),
          PII_AUDIT: object("PiiAudit"),
          CONTRACT_HEALTH: object("ContractHealth"),
          DASHBOARDS: object("Dashboards"),
          TILE_ROLLUP: object("TileRollup"),
          TILE_REGISTRY: object("TileRegistry"),
        },
        queueProducers: {
          ...Object.fromEntries(shards.map((shard) => [`EVENTS_${shard}`, `events-${shard}`])),
          // The objects' own: consumed by nobody here.
          WAKE_LAKE: "lake",
          WAKE_SESSIONS: "sessions",
          WAKE_ROLLUPS: "rollups",
          REPLAYS: "replays",
        },
        queueConsumers: Object.fromEntries(
          shards.map((shard) => [`events-${shard}`, { maxBatchSize: 100, maxBatchTimeout: 0 }]),
        ),
        /** Nothing else is asked of the world. */
        outboundService: ({ url }: Request) =>
          url === `${ACCESS.team}/cdn-cgi/access/certs`
            ? Response.json({ keys: [jwk(accessKey.publicKey)] })
            : new Response(`nobody is at ${url}`, { status: 502 }),
        serviceBindings: {
          /** Says back what it was asked, as the edge must have passed it on. */
          QUERY: async (request: Request) => {
            const body = await request.text();
            return (
              answerPreview(body) ??
              Response.json({
                path: new URL(request.url).pathname,
                token: request.headers.get("x-eventpile-token"),
                authorization: request.headers.get("authorization"),
                sight: request.headers.get("x-eventpile-sight"),
                body,
              })
            );
          },
          ASSETS: (request: Request) => {
            const { pathname } = new URL(request.url);
            const known = ["/live", "/support", "/sql", "/beacon.js"].includes(pathname);
            return new Response(`asset ${pathname}`, { status: known ? 200 : 404 });
          },
        },
      },
    }),
  ],
  test: {
    name: "edge",
    root: new URL("..", import.meta.url).pathname,
    include: ["test/workers/edge/**/*.workerd.test.ts"],
    testTimeout: 20_000,
    // Of itself a second, which is short where others have the cores.
    expect: { poll: { timeout: 10_000 } },
  },
});
