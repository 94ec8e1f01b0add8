/**
 * Rebuilds, fills and corrections that are begun in the middle of a run: a store built anew and swapped in while it is fed,
 * events changed while they are on their way. Asked for until there is an answer, under one key.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { SINKS } from "../../../durable-objects/sink-cursor/api.ts";
import type { Random } from "../../../scripts/demo/random.ts";
import { ORIGIN_HEADERS, type RunningSystem } from "../harness.ts";

export type JobKind = "rebuild" | "fill" | "correction";
/** What a correction sets: no event has it otherwise. */
export const CORRECTED_COUNTRY = "NZ";

const ASK_MS = 30_000;
const END_MS = 120_000;
const PAUSE_MS = 50;

/**
 * @param from milliseconds: rebuilds and fills begin there; null: with the first event.
 * @returns the path of the job.
 */
export async function beginJob(
  system: () => RunningSystem,
  kind: JobKind,
  prefix: string,
  random: Random,
  from: number | null,
): Promise<string> {
  const sinks = [random.pick(SINKS)];
  if (kind !== "correction") {
    const { id } = await ask(
      system,
      "/v1/replays",
      { mode: kind, sinks, ...(from !== null && { from: new Date(from).toISOString() }) },
      prefix,
    );
    return `/v1/replays/${id}`;
  }
  const correction = {
    filter: { where: { event_name: [`Chaos ${prefix}`] } },
    change: { set: { country: CORRECTED_COUNTRY } },
  };
  const { id } = await ask(system, "/v1/corrections", correction, prefix);
  await ask(system, `/v1/corrections/${id}/confirm`, {}, null);
  return `/v1/corrections/${id}`;
}

/** Once nothing fails any more. @param then what becomes of a rebuild that was swapped in. @throws Error where it does not end. */
export async function endJob(system: RunningSystem, path: string, then: "confirm" | "revert"): Promise<void> {
  const giveUp = Date.now() + END_MS;
  for (;;) {
    const job = await system.read<{ state: string; error: unknown }>(path);
    if (job.state === "done") return;
    if (job.state === "waiting_for_confirmation") await ask(() => system, `${path}/${then}`, {}, null);
    // One that gave up goes on where it stood.
    if (job.state === "failed") await ask(() => system, `${path}/resume`, {}, null);
    if (job.state === "cancelled") throw new Error(`nobody cancelled ${JSON.stringify(job)}`);
    if (Date.now() > giveUp)
      throw new Error(`the job does not end: ${JSON.stringify(job)}\n${system.output.slice(-4_000)}`);
    await sleep(PAUSE_MS);
  }
}

async function ask(
  system: () => RunningSystem,
  path: string,
  body: unknown,
  key: string | null,
): Promise<{ readonly id: string }> {
  const giveUp = Date.now() + ASK_MS;
  for (;;) {
    try {
      const response = await fetch(system().url + path, {
        method: "POST",
        headers: { ...ORIGIN_HEADERS.read, ...(key !== null && { "idempotency-key": key }) },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(ASK_MS),
      });
      const text = await response.text();
      if (response.ok) return JSON.parse(text);
      // An action that was taken, and whose answer was lost.
      if (response.status === 409 && key === null) return { id: "" };
      if (response.status < 500 && response.status !== 429) throw new RangeError(`${path}: ${response.status} ${text}`);
    } catch (error) {
      if (error instanceof RangeError) throw error;
    }
    if (Date.now() > giveUp) throw new Error(`${path} had no answer`);
    await sleep(PAUSE_MS);
  }
}
