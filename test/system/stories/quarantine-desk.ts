/** What an operator does with what could not be handled. */
import { control } from "../../../scripts/local/running-system.ts";
import { ORIGIN_HEADERS, type RunningSystem } from "../harness.ts";

export interface Entry {
  readonly id: string;
  readonly kind: "message" | "hole";
  readonly cause: string;
  readonly origin: { readonly queue?: string; readonly sink?: string; readonly shard?: number; readonly key: string };
  readonly events: number | null;
  readonly state: string;
}

export async function openEntries(system: RunningSystem): Promise<readonly Entry[]> {
  return (await system.read<{ entries: Entry[] }>("/v1/quarantine")).entries;
}

export const inspect = (system: RunningSystem, id: string) => system.read<Entry>(`/v1/quarantine/${id}`);

export async function inspectRaw(system: RunningSystem, id: string): Promise<Buffer> {
  const response = await fetch(`${system.url}/v1/quarantine/${id}?raw=1`, { headers: ORIGIN_HEADERS.read });
  return Buffer.from(await response.arrayBuffer());
}

/** The answer, whatever its status. */
export async function redrive(system: RunningSystem, id: string): Promise<Readonly<Record<string, unknown>>> {
  const response = await fetch(`${system.url}/v1/quarantine/${id}/redrive`, {
    method: "POST",
    headers: ORIGIN_HEADERS.read,
    body: "{}",
  });
  return { ...((await response.json()) as object), status: response.status };
}

/** Beside the edge, as no sender can. */
export async function putOnQueue(system: RunningSystem, queue: string, text: string): Promise<void> {
  await control("POST", `/local/queues/send?queue=${queue}`, text, system.url);
}
