/** Statements by name: looked after, cancelled, and nobody else's business. */
import { request as httpRequest } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type QueryRig, startRig } from "../rig.ts";

/** Runs for minutes, if it is let. Each is another: the same ones would share a run. */
let asked = 0;
const endless = () => `select count(*) from range(100000000) a, range(100000) b where a.range + b.range = ${asked++}`;
const [OWN, OTHER] = ["ab".repeat(32), "cd".repeat(32)];

let rig: QueryRig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(async () => {
  await rig?.stop();
});

const as = (token: string, more: RequestInit = {}): RequestInit => ({
  headers: { "x-eventpile-token": token },
  ...more,
});
const run = (id: string, sql: string, more: RequestInit = {}) => rig.post({ sql, id }, as(OWN, more));
const ask = (id: string, token = OWN) => rig.fetch(`/v1/sql/${id}`, as(token));
const state = async (id: string) => ((await (await ask(id)).json()) as { state?: string }).state;
const remove = (id: string, token = OWN) => rig.fetch(`/v1/sql/${id}`, as(token, { method: "DELETE" }));

/**
 * Sends a statement. @returns what drops its connection: by a reset, because workerd takes no notice of a mere end of what
 * a client has to say before it writes to it.
 */
function leave(id: string, sql: string): () => void {
  const request = httpRequest(rig.url("/v1/sql").href, { method: "POST", headers: { "x-eventpile-token": OWN } });
  request.on("error", () => {});
  request.end(JSON.stringify({ sql, id }));
  return () => request.socket?.resetAndDestroy();
}

describe("a statement with a name", () => {
  it("is seen while it waits and runs, is cancelled by its name, and is remembered as cancelled", async () => {
    const first = run("first", endless());
    await expect.poll(() => state("first"), { timeout: 10_000 }).toBe("running");
    const second = run("second", endless());
    await expect.poll(() => state("second"), { timeout: 10_000 }).toBe("queued");
    const seen = (await (await ask("first")).json()) as Record<string, unknown>;
    expect(Object.keys(seen).toSorted()).toEqual(
      ["bytes_planned", "bytes_read", "bytes_scanned", "elapsed_ms", "id", "rows", "state"].toSorted(),
    );
    for (const [id, answer] of [
      ["second", second],
      ["first", first],
    ] as const) {
      expect((await remove(id)).status).toBe(204);
      expect(await (await answer).json()).toMatchObject({ status: 499, reason: "statement_cancelled" });
      await expect.poll(() => state(id)).toBe("cancelled");
      // Once more does no harm.
      expect((await remove(id)).status).toBe(204);
    }
    expect((await rig.sql("select 42")).rows).toEqual([[42]]);
  });

  it("is nobody else's: another token neither sees it nor ends it, and may use the same name", async () => {
    const running = run("mine", endless());
    await expect.poll(() => state("mine"), { timeout: 10_000 }).toBe("running");
    for (const answer of [await ask("mine", OTHER), await remove("mine", OTHER)]) {
      expect(answer.status).toBe(404);
      expect(await answer.json()).toMatchObject({ reason: "unknown_statement" });
    }
    expect(await state("mine")).toBe("running");
    const theirs = rig.post({ sql: "attach 'x'", id: "mine" }, as(OTHER));
    expect((await theirs).status).toBe(400);
    expect((await remove("mine")).status).toBe(204);
    expect((await running).status).toBe(499);
  });

  it("has its name for itself until it has ended", async () => {
    const running = run("taken", endless());
    await expect.poll(() => state("taken"), { timeout: 10_000 }).toBe("running");
    const again = await run("taken", "select 1");
    expect(again.status).toBe(409);
    expect(await again.json()).toMatchObject({ reason: "statement_id_in_use" });
    await remove("taken");
    await running;
    await expect.poll(() => state("taken")).toBe("cancelled");
    expect((await run("taken", "select 1")).status).toBe(200);
  });

  it("is known as done, with what it read, or as failed; and one without a name is given one", async () => {
    expect((await run("good", "select 1")).headers.get("x-eventpile-statement")).toBe("good");
    await expect.poll(() => state("good")).toBe("done");
    await run("bad", "select nothing from events");
    await expect.poll(() => state("bad")).toBe("failed");
    const made = (await rig.post({ sql: "select 1" }, as(OWN))).headers.get("x-eventpile-statement")!;
    await expect.poll(() => state(made)).toBe("done");
  });

  it("ends when its client goes", async () => {
    const left = leave("left", endless());
    await expect.poll(() => state("left"), { timeout: 10_000 }).toBe("running");
    left();
    await expect.poll(() => state("left"), { timeout: 10_000 }).toBe("cancelled");
    const underWay = async () => {
      const engines = await Promise.all([rig.engine(0).status(), rig.engine(1).status()]);
      return engines.reduce((sum, { statements }) => sum + statements, 0);
    };
    await expect.poll(underWay, { timeout: 10_000 }).toBe(0);
  });
});

it("an address that is no statement's is refused, whatever it is", async () => {
  for (const id of ["never", "a%2Fb", "..", "x".repeat(65), "%00", "__proto__"]) {
    expect((await ask(id)).status).toBe(404);
  }
  expect((await rig.fetch("/v1/sql/x", as(OWN, { method: "PUT" }))).status).toBe(405);
});
