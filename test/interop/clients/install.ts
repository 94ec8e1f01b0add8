/** Trino's clients, installed once in the user's cache: Python's beside the engines, npm's and the JDBC driver by themselves. */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CACHE, ENGINE_REQUIREMENTS, once, run } from "../install.ts";

const REQUIREMENTS = join(import.meta.dirname, "requirements.txt");
const NPM_CLIENT = "trino-client@0.2.9";
const JDBC = "476";

export interface InstalledClients {
  readonly python: string;
  /** The folder whose node_modules has the npm client. */
  readonly npmHome: string;
  readonly jar: string;
}

/** After the engines: the environment is theirs. */
export function installClients(python: string, log: (line: string) => void): InstalledClients {
  const hash = createHash("sha256");
  // Anew with the environment.
  for (const path of [ENGINE_REQUIREMENTS, REQUIREMENTS]) hash.update(readFileSync(path));
  once("client-packages", hash.digest("hex"), () => {
    log("installing Trino's Python client");
    run(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS]);
  });
  const npmHome = join(CACHE, "npm");
  once("npm-client", NPM_CLIENT, () => {
    log("installing Trino's npm client");
    mkdirSync(npmHome, { recursive: true });
    run("npm", ["install", "--silent", "--no-audit", "--no-fund", "--prefix", npmHome, NPM_CLIENT]);
  });
  once("trino-jdbc", JDBC, () => {
    log("fetching Trino's JDBC driver (13 MB)");
    run("mvn", ["-q", "-B", "dependency:copy", `-Dartifact=io.trino:trino-jdbc:${JDBC}`, `-DoutputDirectory=${CACHE}`]);
  });
  return { python, npmHome, jar: join(CACHE, `trino-jdbc-${JDBC}.jar`) };
}
