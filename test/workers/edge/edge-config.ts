/** What the `edge` project's Worker is configured with, for the configuration and the tests alike. */
import { createHash } from "node:crypto";

export const SHARDS = 2;
export const WRITE_KEY = "web-key";
export const SOURCE = "shop";
export const TEST_WRITE_KEYS = JSON.stringify({ [WRITE_KEY]: SOURCE, "other-key": "other" });

/** Tokens by what they may do. */
export const TOKEN = {
  support: "t-support",
  profile: "t-profile",
  sql: "t-sql",
  live: "t-live",
  raw: "t-raw",
  admin: "t-admin",
} as const;

/** The newest, which signs, and one from before. */
export const USER_TOKEN_KEYS = ["the newest key of users' own tokens", "an older key of users' own tokens"] as const;

export const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

export const TEST_TOKENS = JSON.stringify(
  Object.entries(TOKEN).map(([scope, token]) => ({ sha256: sha256(token), scopes: [scope] })),
);
