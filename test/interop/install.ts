/**
 * The engines of the interop check, installed once below node_modules/.cache: Python packages into an environment of their
 * own, Spark's two jars by Maven. What is missing on the machine is an error that says what to install, never a skip.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../scripts/local/wrangler-config.ts";

const CACHE = join(ROOT, "node_modules", ".cache", "interop");
const REQUIREMENTS = join(import.meta.dirname, "requirements.txt");
const ICEBERG = "1.10.0";
const JARS = [`iceberg-spark-runtime-4.0_2.13:${ICEBERG}`, `iceberg-aws-bundle:${ICEBERG}`];

export interface Installed {
  readonly python: string;
  /** Comma separated, as Spark takes them. */
  readonly jars: string;
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
  once("packages", createHash("sha256").update(readFileSync(REQUIREMENTS)).digest("hex"), () => {
    log("installing Python packages (about 700 MB)");
    run("python3", ["-m", "venv", "--clear", venv]);
    run(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS]);
  });
  const jars = JARS.map((jar) => join(CACHE, `${jar.replace(":", "-")}.jar`));
  once("jars", JARS.join(), () => {
    need("mvn", ["--version"], "Maven (Debian: apt-get install maven)");
    log("fetching Spark's jars for Iceberg");
    for (const jar of JARS) {
      const artifact = `-Dartifact=org.apache.iceberg:${jar}`;
      run("mvn", ["-q", "-B", "dependency:copy", artifact, `-DoutputDirectory=${CACHE}`]);
    }
  });
  return { python, jars: jars.join(",") };
}

/** Does the work unless it was done for just this. */
function once(name: string, mark: string, work: () => void): void {
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

function run(program: string, args: readonly string[]): void {
  execFileSync(program, args, { stdio: ["ignore", "inherit", "inherit"] });
}
