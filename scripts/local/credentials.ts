/** The keys of a local run. Only ever valid locally: a deployed system takes its own from secrets. */
export const LOCAL_WRITE_KEY = "dev";
export const LOCAL_TOKEN = "dev-admin";
/** Of the S3 read façade: what Iceberg's REST catalog hands to who may read raw files. */
export const LOCAL_S3_KEY_ID = "local";
export const LOCAL_S3_SECRET = "local-secret";
/** Tokens that may ask SQL and nothing else, as many as the environment says: for what several of them do to each other. */
export const localSqlTokens = (count = Number(process.env.EVENTPILE_SQL_TOKENS ?? 0)): string[] =>
  Array.from({ length: count }, (_, number) => `dev-sql-${number}`);
/** Signs the tokens with which a person reads their own events. */
export const LOCAL_USER_TOKEN_KEY = "local-key-of-users-tokens-not-a-secret";
