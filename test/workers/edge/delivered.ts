/** What the queues of the `edge` project have delivered, read back. */
import { expect, vi } from "vitest";
import { type MessageHeader, parseMessage } from "../../../r2-layout/event-message.ts";
import { type LogLine, parseLogLine } from "../../../r2-layout/log-line.ts";
import { delivered } from "./edge-main.ts";

export interface DeliveredEvent extends LogLine {
  readonly header: MessageHeader;
}

/** Waits until the queues have delivered an event for each id, and gives all events with one of them. */
export async function deliveredEvents(ids: readonly string[]): Promise<DeliveredEvent[]> {
  let found: DeliveredEvent[] = [];
  await vi.waitFor(
    () => {
      found = allEvents().filter((event) => ids.includes(event.row.event_id));
      expect(new Set(found.map((event) => event.row.event_id))).toEqual(new Set(ids));
    },
    { timeout: 10_000, interval: 20 },
  );
  return found;
}

export async function deliveredEvent(id: string): Promise<DeliveredEvent> {
  return (await deliveredEvents([id]))[0]!;
}

export function allEvents(): DeliveredEvent[] {
  return delivered.flatMap((body) => {
    const message = parseMessage(body);
    if (!message.ok) throw new Error(message.error.detail);
    return message.value.lines.map((line) => ({ ...parseLogLine(line), header: message.value.header }));
  });
}
