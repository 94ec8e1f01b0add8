/** The keys of a local run. Only ever valid locally: a deployed system takes its own from secrets. */
export const LOCAL_WRITE_KEY = "dev";
export const LOCAL_TOKEN = "dev-admin";
/** Of the S3 read façade: what Iceberg's REST catalog hands to who may read raw files. */
export const LOCAL_S3_KEY_ID = "local";
export const LOCAL_S3_SECRET = "local-secret";
