/** Which engine takes what is too large for one of ours, by the Worker's variables; none by default. */

import { parseJurisdiction } from "../../../durable-objects/jurisdiction.ts";

export interface DistributedEnv {
  /** Where objects and bucket are (durable-objects/jurisdiction.ts). */
  readonly JURISDICTION?: string;
  /** `trino` or `r2-sql`; empty: none. */
  readonly DISTRIBUTED_ENGINE?: string;
  /** Trino: its origin; the catalog and schema of our tables there, `lake.eventpile` when empty; and, as a secret, its token. */
  readonly DISTRIBUTED_TRINO_URL?: string;
  readonly DISTRIBUTED_NAMESPACE?: string;
  readonly DISTRIBUTED_TRINO_USER?: string;
  readonly DISTRIBUTED_TRINO_TOKEN?: string;
  /** R2 SQL: the account, the bucket whose catalog mirrors our tables, and as a secret a token that may read both. */
  readonly DISTRIBUTED_R2_ACCOUNT_ID?: string;
  readonly DISTRIBUTED_R2_BUCKET?: string;
  readonly DISTRIBUTED_R2_TOKEN?: string;
}

export type DistributedSettings =
  | {
      readonly kind: "trino";
      readonly url: string;
      readonly user: string;
      readonly token: string | undefined;
      readonly namespace: string;
    }
  | {
      readonly kind: "r2-sql";
      readonly url: string;
      readonly token: string;
      readonly namespace: string;
    };

/** @throws RangeError where an engine is named and half configured, or is outside of the jurisdiction. */
export function distributedSettings(env: DistributedEnv): DistributedSettings | null {
  const namespace = env.DISTRIBUTED_NAMESPACE;
  switch (env.DISTRIBUTED_ENGINE ?? "") {
    case "":
      return null;
    case "trino": {
      const { DISTRIBUTED_TRINO_URL: url, DISTRIBUTED_TRINO_USER: user, DISTRIBUTED_TRINO_TOKEN: token } = env;
      if (!url) throw new RangeError("DISTRIBUTED_TRINO_URL is not set");
      return {
        kind: "trino",
        url: new URL(url).origin,
        user: user || "eventpile",
        token,
        namespace: namespace || "lake.eventpile",
      };
    }
    case "r2-sql": {
      // Its catalog is a copy of the tables' pointers outside.
      if (parseJurisdiction(env.JURISDICTION))
        throw new RangeError("r2-sql has no jurisdiction: DISTRIBUTED_ENGINE is trino or empty");
      const { DISTRIBUTED_R2_ACCOUNT_ID: account, DISTRIBUTED_R2_BUCKET: bucket, DISTRIBUTED_R2_TOKEN: token } = env;
      if (!account || !bucket || !token) {
        throw new RangeError(
          "DISTRIBUTED_R2_ACCOUNT_ID, DISTRIBUTED_R2_BUCKET and DISTRIBUTED_R2_TOKEN belong together",
        );
      }
      const url = `${R2_SQL}/accounts/${encodeURIComponent(account)}/r2-sql/query/${encodeURIComponent(bucket)}`;
      return { kind: "r2-sql", url, token, namespace: namespace || "eventpile" };
    }
    default:
      throw new RangeError("DISTRIBUTED_ENGINE is trino or r2-sql");
  }
}

const R2_SQL = "https://api.sql.cloudflarestorage.com/api/v1";
