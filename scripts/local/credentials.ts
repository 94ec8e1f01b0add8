/** The keys of a local run. Only ever valid locally: a deployed system takes its own from secrets. */
export const LOCAL_WRITE_KEY = "dev";
export const LOCAL_TOKEN = "dev-admin";
