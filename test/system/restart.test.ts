import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, expect, it } from "vitest";
import { whatIsMissing } from "../../scripts/local/running-system.ts";
import { freePort, type RunningSystem, startSystem, until } from "./harness.ts";

const dir = mkdtempSync(join(tmpdir(), "eventpile-restart-"));
let system: RunningSystem | null = null;
afterEach(async () => {
  await system?.stop();
  system = null;
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const batch = [1, 2, 3].map((i) => ({ type: "track", event: "Kept", messageId: `kept-${i}`, userId: "keeper" }));

it("what was stored is there after a clean stop, and its ids still count as known (promise 2)", async () => {
  system = await startSystem({ dir });
  expect((await system.sendBatch(batch)).status).toBe(200);
  await system.settled();
  await system.stop();
  system = await system.again();
  expect((await system.sql("select count(*) from events")).rows).toEqual([[3]]);
  expect((await system.sendBatch(batch)).status).toBe(200);
  const ledger = await system.settled();
  expect(ledger).toMatchObject({
    balanced: true,
    total: { accepted: 6, duplicates: 3, lake: 3, sessions: 3, rollups: 3 },
  });
  expect((await system.userEvents("keeper")).events.length).toBe(3);

  expect(await refusal({ dir, port: await freePort() })).toMatch(/already runs on .*eventpile-restart-.*process \d+/);
  await system.stop();
  system = null;
  expect(await refusal({ dir, port: await freePort(), shards: "4" })).toContain("was made with 1 log shards, not 4");
});

it("shards that are split keep what they have, and find the repeats of it (promises 2 and 3)", async () => {
  const state = mkdtempSync(join(tmpdir(), "eventpile-split-"));
  const events = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => ({
      ...{ type: "track", event: "Split", messageId: `split-${from + i}`, userId: `user-${(from + i) % 8}` },
    }));
  system = await startSystem({ dir: state });
  expect((await system.sendBatch(events(0, 40))).status).toBe(200);
  await system.settled();
  await system.stop();
  system = await startSystem({ dir: state, shards: "1,2" });
  expect((await system.sendBatch(events(20, 60))).status).toBe(200);
  const ledger = await system.settled();
  expect(ledger).toMatchObject({
    balanced: true,
    total: { accepted: 80, duplicates: 20, lake: 60, sessions: 60, rollups: 60 },
  });
  expect(ledger.shards.map(({ epoch }) => epoch)).toEqual([1, 1]);
  expect(Number(ledger.shards[1]!.committed)).toBeGreaterThan(0);
  expect((await system.sql("select count(*), count(distinct event_id) from events")).rows).toEqual([[60, 60]]);
  await system.stop();
  system = null;
  expect(await refusal({ dir: state, port: await freePort(), shards: "2" })).toContain("was made with 1,2 log shards");
  rmSync(state, { recursive: true, force: true });
});

it("a runtime that answers nobody is ended and another started, which has all that was acknowledged (promise 2)", async () => {
  system = await startSystem({ silentMs: 3_000 });
  expect((await system.sendBatch(batch)).status).toBe(200);
  process.kill(system.runtimePid("workerd"), "SIGSTOP");
  await until("another runtime answers", 30_000, async () => {
    const answer = await fetch(`${system!.url}/healthz`, { signal: AbortSignal.timeout(500) }).catch(() => null);
    return answer?.ok ?? false;
  });
  expect(system.output).toContain("has answered nobody for 3 s");
  expect((await system.settled()).total).toMatchObject({ accepted: 3, lake: 3, sessions: 3, rollups: 3 });
});

it("what befalls the query runtime befalls nobody else, SQL comes back, and no runtime outlives the next start", async () => {
  system = await startSystem({ silentMs: 3_000 });
  expect((await system.sendBatch(batch)).status).toBe(200);
  await system.settled();
  const main = system.runtimePid("workerd");
  for (const signal of ["SIGKILL", "SIGSTOP"] as const) {
    const query = system.runtimePid("query");
    process.kill(query, signal);
    await until(`SQL comes back after ${signal}`, 30_000, async () => {
      // Meanwhile the others answer.
      expect((await system!.userEvents("keeper")).events.length).toBe(3);
      return system!.runtimePid("query") !== query && (await whatIsMissing(system!.url)) === null;
    });
    expect((await system.sql("select count(*) from events")).rows).toEqual([[3]]);
  }
  expect(system.runtimePid("workerd")).toBe(main);

  const left = [main, system.runtimePid("query")];
  await system.killNode();
  expect(left.map(isThere)).toEqual([true, true]);
  system = await system.again();
  expect(left.map(isThere)).toEqual([false, false]);
});

it("a taken port is told in one line, and nothing is left behind", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const other = mkdtempSync(join(tmpdir(), "eventpile-taken-"));
  const said = await refusal({ dir: other, port });
  expect(said).toContain(`port ${port} is taken`);
  expect(said.trim().split("\n").length).toBe(1);
  server.close();
  rmSync(other, { recursive: true, force: true });
});

function isThere(pid: number): boolean {
  try {
    // A zombie waits only to be counted by whoever adopted it.
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
}

/** What a start that must fail prints. */
async function refusal({ dir, port, shards = "1" }: { dir: string; port: number; shards?: string }): Promise<string> {
  const child = spawn(process.execPath, ["scripts/start.ts", "--no-demo"], {
    env: { ...process.env, PORT: String(port), EVENTPILE_DIR: dir, EVENTPILE_SHARDS: shards },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const [code] = await once(child, "exit");
  expect(code).toBe(1);
  return output;
}
