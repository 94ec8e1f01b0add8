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

/** Tokens that see a part, or all of what others do not. */
export const SEEING = { web: "t-sql-of-web", pii: "t-support-pii" } as const;
export const MASKED_COLUMNS = ["screen", "region"];

export const ACCESS = {
  team: "https://team.cloudflareaccess.com",
  aud: "the application",
  people: [
    { email: "help@team.example", scopes: ["support"] },
    { email: "*@team.example", scopes: ["live"] },
  ],
} as const;

export const TEST_TOKENS = JSON.stringify([
  // `raw` reads what is masked.
  ...Object.entries(TOKEN).map(([scope, token]) => ({
    sha256: sha256(token),
    scopes: scope === "raw" ? ["raw", "pii"] : [scope],
  })),
  { sha256: sha256(SEEING.web), scopes: ["sql", "pii"], sources: ["web"] },
  { sha256: sha256(SEEING.pii), scopes: ["support", "sql", "pii"] },
]);
