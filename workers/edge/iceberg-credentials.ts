/**
 * With what a reader of a table reads its files. Deployed: temporary credentials for R2's S3 interface, which read below
 * the table's prefix and nothing else, for an hour. In a local run: the fixed ones of the read façade on this origin.
 * Not configured: none, so that a reader has to bring its own.
 */
import { type Jurisdiction, parseJurisdiction } from "../../durable-objects/jurisdiction.ts";
import type { TableName } from "../../r2-layout/event-columns.ts";
import { ICEBERG, SECOND_MS } from "../../r2-layout/limits.ts";

export interface CredentialSettings {
  /** Where the bucket is (durable-objects/jurisdiction.ts). */
  readonly JURISDICTION?: string;
  /** `eventpile` when absent. */
  readonly BUCKET_NAME?: string;
  /** The account's id, and a secret token of it that may make R2 credentials from the key of this id. */
  readonly R2_ACCOUNT_ID?: string;
  readonly R2_API_TOKEN?: string;
  readonly R2_PARENT_ACCESS_KEY_ID?: string;
  /** In the local run only: access key id and secret, `<id>:<secret>`. */
  readonly LOCAL_S3_KEYS?: string;
}

/** Members of `config` in the answer to who loads a table. */
export type ReadConfig = Readonly<Record<string, string>>;

export type ReadCredentials = (table: TableName, origin: string) => Promise<ReadConfig>;

export const bucketName = ({ BUCKET_NAME }: CredentialSettings): string => BUCKET_NAME ?? "eventpile";

/** Below what a reader of a table may read: its data and its metadata. */
export const tablePrefix = (table: TableName): string => `lake/${table}/`;

/** @param now milliseconds. */
export function readCredentials(
  settings: CredentialSettings,
  now: () => number,
  fetcher: typeof fetch = (...args) => fetch(...args),
): ReadCredentials {
  const { R2_ACCOUNT_ID: account, R2_API_TOKEN: token, R2_PARENT_ACCESS_KEY_ID: parent, LOCAL_S3_KEYS } = settings;
  if (LOCAL_S3_KEYS) {
    const [id = "", secret = ""] = LOCAL_S3_KEYS.split(":");
    return async (_, origin) => s3Config(origin, id, secret);
  }
  if (!account || !token || !parent) return async () => ({});
  const jurisdiction = parseJurisdiction(settings.JURISDICTION);
  const known = new Map<TableName, { readonly config: ReadConfig; readonly untilMs: number }>();
  return async (table) => {
    const cached = known.get(table);
    if (cached && now() < cached.untilMs) return cached.config;
    const lifeMs = ICEBERG.credentialSeconds * SECOND_MS;
    const madeAt = now();
    const response = await fetcher(`${R2_API}/accounts/${account}/r2/temp-access-credentials`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({
        bucket: bucketName(settings),
        parentAccessKeyId: parent,
        permission: "object-read-only",
        prefixes: [tablePrefix(table)],
        ttlSeconds: ICEBERG.credentialSeconds,
      }),
    });
    const { result } = (await response.json()) as { result?: TemporaryCredentials };
    if (!response.ok || !result) throw new Error(`no read credentials for ${table}: R2 answered ${response.status}`);
    const config = {
      ...s3Config(s3Endpoint(account, jurisdiction), result.accessKeyId, result.secretAccessKey),
      "s3.session-token": result.sessionToken,
      "s3.session-token-expires-at-ms": String(madeAt + lifeMs),
    };
    // Whoever is given them has half of their time at least.
    known.set(table, { config, untilMs: madeAt + lifeMs / 2 });
    return config;
  };
}

/** A bucket of a jurisdiction is found at that one's address only. */
const s3Endpoint = (account: string, jurisdiction: Jurisdiction | null): string =>
  `https://${account}.${jurisdiction ? `${jurisdiction}.` : ""}r2.cloudflarestorage.com`;

const R2_API = "https://api.cloudflare.com/client/v4";

interface TemporaryCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
}

/** The names that pyiceberg, DuckDB, Spark and Trino all read. */
const s3Config = (endpoint: string, id: string, secret: string): ReadConfig => ({
  "s3.endpoint": endpoint,
  "s3.path-style-access": "true",
  "s3.region": "auto",
  "client.region": "auto",
  "s3.access-key-id": id,
  "s3.secret-access-key": secret,
});
