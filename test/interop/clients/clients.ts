/**
 * Trino's own clients against a running system: each runs the guide's block for it and then what people do next, and its
 * numbers have to be those of our own SQL. What needs no number (types, errors, what tools ask about tables) the client's
 * program asserts by itself.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { RunningSystem } from "../../system/harness.ts";
import type { Rows } from "../engine.ts";
import { comparable } from "../published.ts";
import type { InstalledClients } from "./install.ts";
import { toolSnippet } from "./snippets.ts";
import { GRAFANA, trinoRows } from "./statements.ts";
import { tlsProxy } from "./tls-proxy.ts";

/** A bound against standing still, not a measure. */
const CLIENT_WAIT_MS = 120_000;

/** @returns what passed, and what did not, in words. */
export async function checkClients(
  system: RunningSystem,
  clients: InstalledClients,
  log: (line: string) => void,
): Promise<{ passed: number; failures: readonly string[] }> {
  const expected = await ourAnswers(system);
  const failures: string[] = [];
  let passed = 0;
  const runs = { python: runPython, "trino-client": runNode, jdbc: runJava, grafana: runGrafana };
  const one = async (name: string, run: (typeof runs)[keyof typeof runs]) => {
    const began = Date.now();
    try {
      for (const [what, rows] of Object.entries(await run(system, clients))) {
        const key = what.replace(/^[^:]*: /, "");
        const [theirs, ours] = [comparable(rows), comparable(expected[key] ?? [])];
        if (theirs === ours) passed += 1;
        else failures.push(`${what}: ${theirs}\n    our own SQL: ${ours}`);
      }
    } catch (error) {
      const { message, cause } = error as Error;
      failures.push(`${name}: ${message.slice(0, 4_000)}${cause ? `, ${String(cause)}` : ""}`);
    }
    log(`${name} as Trino's client: ${Date.now() - began} ms`);
  };
  await Promise.all(Object.entries(runs).map(([name, run]) => one(name, run)));
  return { passed, failures };
}

const COMPLETED = "event_name = 'Order Completed'";

async function ourAnswers(system: RunningSystem): Promise<Readonly<Record<string, Rows>>> {
  const ask = async (sql: string) => (await system.sql(sql)).rows;
  const all = await ask("SELECT count(*) FROM events");
  const groups = await ask("SELECT event_name, count(*) FROM events GROUP BY 1 ORDER BY 1");
  const completed = await ask(`SELECT count(*) FROM events WHERE ${COMPLETED}`);
  const { tables } = await system.read<{ tables: { events: { columns: unknown[] } } }>("/v1/schema");
  return {
    "the guide's rows": groups,
    count: all,
    "every event, page by page": all,
    parameters: await ask("SELECT count(*) FROM events WHERE revenue > 10.5"),
    "prepared statements, by access token": completed,
    prepared: completed,
    "Metabase's question": completed,
    columns: [[tables.events.columns.length]],
    "in, limit, offset": await ask(
      "SELECT strftime(date_trunc('day', event_time), '%Y-%m-%d %H:%M:%S'), count(*) FROM events WHERE event_name IN ('Order Completed', 'Product Added') AND user_id IS NOT NULL GROUP BY 1 ORDER BY 1 LIMIT 10 OFFSET 1",
    ),
    "by hour and name": await ask(
      "SELECT strftime(date_trunc('hour', event_time), '%Y-%m-%d %H:%M:%S') || '.000000', event_name, count(*) FROM events GROUP BY 1, 2 ORDER BY 1, 2",
    ),
  };
}

type Answers = Readonly<Record<string, Rows>>;

async function output(program: string, args: readonly string[], input: unknown): Promise<Answers> {
  const running = promisify(execFile)(program, args, { timeout: CLIENT_WAIT_MS, maxBuffer: 64 * 1_024 * 1_024 });
  running.child.stdin?.end(JSON.stringify(input));
  const { stdout } = await running.catch((error: { stderr?: string; message: string }) => {
    throw new Error(`${error.message}\n${(error.stderr ?? "").slice(-3_000)}`);
  });
  return JSON.parse(stdout.trim().split("\n").at(-1)!) as Answers;
}

const here = (file: string): string => join(import.meta.dirname, file);

function runPython({ url, token }: RunningSystem, { python }: InstalledClients): Promise<Answers> {
  const snippets = { dbapi: toolSnippet("dbapi", url), sqlalchemy: toolSnippet("sqlalchemy", url), token };
  return output(python, [here("trino_clients.py")], snippets);
}

function runNode({ url }: RunningSystem, { npmHome }: InstalledClients): Promise<Answers> {
  return output(process.execPath, [here("trino-client.mjs"), npmHome], { snippet: toolSnippet("trino-client", url) });
}

async function runJava({ url, token }: RunningSystem, { jar }: InstalledClients): Promise<Answers> {
  const proxy = await tlsProxy(url);
  try {
    return await output("java", ["-cp", jar, here("Jdbc.java"), proxy.host, token], {});
  } finally {
    proxy.close();
  }
}

async function runGrafana(system: RunningSystem): Promise<Answers> {
  await trinoRows(system, GRAFANA.health);
  for (const [sql, names] of GRAFANA.lists) {
    const found = (await trinoRows(system, sql)).join();
    if (found !== names) throw new Error(`${sql}: ${found}`);
  }
  return {
    "grafana: columns": [[(await trinoRows(system, GRAFANA.describe)).length]],
    "grafana: by hour and name": (await trinoRows(system, GRAFANA.series)).toSorted((a, b) =>
      `${a[0]} ${a[1]}` < `${b[0]} ${b[1]}` ? -1 : 1,
    ),
    "grafana: count": await trinoRows(system, GRAFANA.epochs),
  };
}
