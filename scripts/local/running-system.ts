/** Finds a running local system: at EVENTPILE_URL, else at PORT, else at 8787, and calls its local control. */
import { setTimeout as sleep } from "node:timers/promises";
import { MAINTENANCE_NOW_CRON } from "../../queues/maintenance/messages.ts";
import { LOCAL_TOKEN } from "./credentials.ts";
import type { QueueStatus } from "./queue/settings.ts";

const MAINTENANCE_WAIT_MS = 300_000;

export function systemUrl(env: Readonly<Record<string, string | undefined>> = process.env): string {
  return (env.EVENTPILE_URL || `http://localhost:${env.PORT || 8787}`).replace(/\/+$/, "");
}

/** @throws Error where the system does not answer, or refuses. */
export async function control(
  method: "GET" | "POST",
  path: `/local/${string}`,
  body?: unknown,
  url: string = systemUrl(),
): Promise<unknown> {
  const response = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${LOCAL_TOKEN}` },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${url}${path} answered ${response.status}: ${await response.text()}`);
  return response.json();
}

/**
 * Whether the edge answers, and through it the query Worker, and to that one the objects: it runs in a runtime of its own,
 * and after a start each runtime has to find the other.
 * @returns null where all do, else what was answered.
 */
export async function whatIsMissing(url: string): Promise<string | null> {
  try {
    for (const [path, expected] of READY) {
      const response = await fetch(url + path, { headers: { authorization: `Bearer ${LOCAL_TOKEN}` } });
      const text = await response.text();
      if (response.status !== expected) return `${path} answered ${response.status}: ${text}`;
    }
    return null;
  } catch (error) {
    return String(error);
  }
}

/** A statement that nobody asked is looked for by the query Worker, in an object. */
const READY = [
  ["/healthz", 200],
  ["/v1/sql/ready", 404],
] as const;

/** Does all maintenance now (compaction, sweeps) and waits until its queue is empty. @throws Error where that takes too long. */
export async function runMaintenance(url: string = systemUrl()): Promise<void> {
  await control("POST", `/local/cron?name=${MAINTENANCE_NOW_CRON}`, undefined, url);
  const giveUp = Date.now() + MAINTENANCE_WAIT_MS;
  for (;;) {
    const queues = (await control("GET", "/local/queues", undefined, url)) as QueueStatus[];
    const queue = queues.find((status) => status.queue === "maintenance")!;
    if (queue.ready + queue.delayed + queue.underWay === 0) return;
    if (Date.now() > giveUp) throw new Error(`maintenance is not done: ${JSON.stringify(queue)}`);
    await sleep(100);
  }
}
