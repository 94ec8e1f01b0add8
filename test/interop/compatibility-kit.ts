/**
 * Apache's REST compatibility kit against the running catalog: those of its 95 tests that need no write. All others begin
 * with the creation of a namespace, which this catalog does not list among its endpoints, so the kit's client refuses them.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { RunningSystem } from "../system/harness.ts";

const SUITE = "org.apache.iceberg.rest.RESTCompatibilityKitCatalogTests";
export const READ_ONLY_TESTS = [
  "testListNonExistingNamespace",
  "testLoadTableWithNonExistingNamespace",
  "testLoadMissingTable",
] as const;

const KIT_WAIT_MS = 120_000;

/** @param jars the console first. @returns the tests that passed. @throws Error with what the kit printed, unless all of them do. */
export async function compatibilityKit(system: RunningSystem, jars: readonly string[]): Promise<readonly string[]> {
  const [consoleJar = "", ...classPath] = jars;
  const args = [
    ...["-Drck.local=false", "-Drck.purge-test-namespaces=false", "-jar", consoleJar, "execute"],
    ...["-cp", classPath.join(":"), "--details=tree", "--disable-banner", "--disable-ansi-colors"],
    ...READ_ONLY_TESTS.map((test) => `--select-method=${SUITE}#${test}`),
  ];
  const catalog = { CATALOG_URI: `${system.url}/iceberg`, CATALOG_CREDENTIAL: `rck:${system.token}` };
  const options = { env: { ...process.env, ...catalog }, timeout: KIT_WAIT_MS, maxBuffer: 64 * 1_024 * 1_024 };
  const { stdout } = await promisify(execFile)("java", args, options).catch((error: { stdout?: string }) => ({
    stdout: `${String(error)}\n${error.stdout ?? ""}`,
  }));
  if (!stdout.includes(`[         ${READ_ONLY_TESTS.length} tests successful`)) {
    throw new Error(`Apache's compatibility kit does not pass:\n${stdout.slice(0, 6_000)}`);
  }
  return READ_ONLY_TESTS;
}
