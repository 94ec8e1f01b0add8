/**
 * The engines of the interop check, installed once in the user's cache: Python packages into an environment of their own,
 * jars by Maven. What is missing on the machine is an error that says what to install, never a skip.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Not in node_modules, which every clean install empties: this is a gigabyte. */
export const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "eventpile-interop");
export const ENGINE_REQUIREMENTS = join(import.meta.dirname, "requirements.txt");
const ICEBERG = "1.10.0";
const SPARK_JARS = [
  `org.apache.iceberg:iceberg-spark-runtime-4.0_2.13:${ICEBERG}`,
  `org.apache.iceberg:iceberg-aws-bundle:${ICEBERG}`,
];
/** Apache's REST compatibility kit, and what runs it. */
const KIT_JARS = [
  "org.junit.platform:junit-platform-console-standalone:1.13.4",
  `org.apache.iceberg:iceberg-open-api:${ICEBERG}`,
  `org.apache.iceberg:iceberg-open-api:${ICEBERG}:jar:tests`,
  `org.apache.iceberg:iceberg-open-api:${ICEBERG}:jar:test-fixtures`,
  "org.assertj:assertj-core:3.27.3",
  "net.bytebuddy:byte-buddy:1.15.11",
];

export interface Installed {
  readonly python: string;
  /** Comma separated, as Spark takes them. */
  readonly jars: string;
  /** Of the compatibility kit, its console first. */
  readonly kit: readonly string[];
}

/** @throws Error that says what the machine lacks. */
export function install(log: (line: string) => void): Installed {
  need(
    "python3",
    ["-m", "venv", "--help"],
    "Python 3.10 or newer with venv (Debian: apt-get install python3 python3-venv)",
  );
  need("java", ["-version"], "Java 17 (Debian: apt-get install openjdk-17-jre-headless)");
  mkdirSync(CACHE, { recursive: true });
  const venv = join(CACHE, "venv");
  const python = join(venv, "bin", "python");
  once("packages", createHash("sha256").update(readFileSync(ENGINE_REQUIREMENTS)).digest("hex"), () => {
    log("installing Python packages (about 700 MB)");
    run("python3", ["-m", "venv", "--clear", venv]);
    run(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", ENGINE_REQUIREMENTS]);
  });
  const all = [...SPARK_JARS, ...KIT_JARS];
  once("jars", all.join(), () => {
    need("mvn", ["--version"], "Maven (Debian: apt-get install maven)");
    log("fetching jars: Spark's for Iceberg, Apache's REST compatibility kit (350 MB)");
    for (const jar of all) {
      run("mvn", ["-q", "-B", "dependency:copy", `-Dartifact=${jar}`, `-DoutputDirectory=${CACHE}`]);
    }
  });
  return { python, jars: SPARK_JARS.map(jarPath).join(","), kit: KIT_JARS.map(jarPath) };
}

/** Where Maven puts `group:name:version[:jar:classifier]`. */
function jarPath(artifact: string): string {
  const [, name, version, , classifier] = artifact.split(":");
  return join(CACHE, `${[name, version, classifier].filter(Boolean).join("-")}.jar`);
}

/** Does the work unless it was done for just this. */
export function once(name: string, mark: string, work: () => void): void {
  const path = join(CACHE, `${name}.done`);
  if (existsSync(path) && readFileSync(path, "utf8") === mark) return;
  work();
  writeFileSync(path, mark);
}

function need(program: string, args: readonly string[], what: string): void {
  try {
    execFileSync(program, args, { stdio: "ignore" });
  } catch {
    throw new Error(`the interop check needs ${what}: ${program} does not run`);
  }
}

export function run(program: string, args: readonly string[]): void {
  execFileSync(program, args, { stdio: ["ignore", "inherit", "inherit"] });
}
