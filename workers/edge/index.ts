/** The edge Worker: takes events, answers questions, serves the pages. */
import { createHmac } from "node:crypto";
import { CONTRACT_REGISTRY_NAME } from "../../durable-objects/contract-registry/api.ts";
import { inJurisdiction } from "../../durable-objects/jurisdiction.ts";
import { parseSpreadIdentities, shardOf } from "../../r2-layout/event-id.ts";
import { parseShards } from "../../r2-layout/shards.ts";
import { subjectHasher } from "../../r2-layout/subjects.ts";
import { problem } from "../problem.ts";
import { parseMaskedColumns } from "../sight.ts";
import { parseTokens, type Tokens } from "../tokens.ts";
import { parseAccess } from "./access-people.ts";
import { createApp } from "./app.ts";
import { AuditTrail } from "./audit/audit-trail.ts";
import { ContractBook } from "./contracts/contract-book.ts";
import { type Env, eventQueues } from "./env.ts";
import { EventSender } from "./event-sender.ts";
import type { HomeOf } from "./parse-events.ts";
import { boundedQueue, HeldBytes } from "./pressure.ts";
import { PrivacyKeys } from "./privacy/privacy-keys.ts";
import { parseWriteKeys } from "./write-keys.ts";

type App = ReturnType<typeof createApp>;

/** One app for each isolate: with it go the instance's name and its running numbers. Randomness needs a request. */
const apps = new WeakMap<Env, App>();

const random = () => crypto.randomUUID().replaceAll("-", "");
/** Microseconds. */
const now = () => Date.now() * 1_000;

function appOf(env: Env): App {
  const known = apps.get(env);
  if (known !== undefined) return known;
  if (!env.IDENTITY_KEY) throw new RangeError("IDENTITY_KEY is not set: no timeline can be named");
  const queues = eventQueues(env).map((queue) => boundedQueue(queue));
  const shards = parseShards(env.SHARDS);
  const spread = parseSpreadIdentities(env.SPREAD_IDENTITIES);
  const hash = subjectHasher(env.IDENTITY_KEY);
  const mask = maskOf(env);
  const access = parseAccess(env.ACCESS, mask, {
    now: () => now() / 1_000,
    fetch: (url, init) => fetch(url, init),
  });
  const sender = new EventSender(random(), queues, shards, hash);
  const homeOf: HomeOf = (row) => shardOf(row, queues.length, spread);
  const wait = (ms: number) => scheduler.wait(ms);
  const audit = env.AUDIT === "on" ? new AuditTrail({ sender, homeOf, hash, random, now, wait }) : null;
  const app = createApp(
    {
      writeKeys: parseWriteKeys(env.WRITE_KEYS),
      sender,
      held: new HeldBytes(),
      contracts: new ContractBook(
        () => env.CONTRACT_REGISTRY.getByName(CONTRACT_REGISTRY_NAME),
        () => now() / 1_000,
      ),
      privacy: {
        keys: new PrivacyKeys(
          () => env.PII_KEY,
          () => now() / 1_000,
        ),
        hash,
      },
      homeOf,
      local: env.EVENTPILE_LOCAL === "1",
      now,
      random,
    },
    { env, queues, shards: queues.length, tokens: parseTokens(env.TOKENS, now, mask), access, audit, now },
  );
  apps.set(env, app);
  return app;
}

/** Pseudonyms have a key of their own, made of that which names people: what SQL shows must not name a timeline. */
function maskOf({ MASKED_COLUMNS, IDENTITY_KEY }: Env): Tokens["mask"] {
  const pseudonymKey = createHmac("sha256", IDENTITY_KEY).update("eventpile masked columns").digest("hex");
  return { masked: parseMaskedColumns(MASKED_COLUMNS), pseudonymKey };
}

export default {
  fetch(request, bindings, ctx) {
    let app: App;
    let env: Env;
    try {
      env = inJurisdiction(bindings);
      app = appOf(env);
    } catch (error) {
      // Not in the answer: what cannot be parsed may be a secret.
      console.error(JSON.stringify({ reason: "misconfigured", error: String(error) }));
      return problem({ reason: "misconfigured" });
    }
    return app.fetch(request, env, ctx);
  },
} satisfies ExportedHandler<Env>;
