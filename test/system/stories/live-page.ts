/** An open live page: the newest state of each minute that it was sent. */
import type { LiveFrame, LiveMinute } from "../../../durable-objects/live-hub/api.ts";
import { type RunningSystem, until } from "../harness.ts";

export interface LivePage {
  readonly minutes: ReadonlyMap<string, LiveMinute>;
  close(): void;
}

/** Returns once the page has its snapshot. */
export async function openLivePage(system: RunningSystem): Promise<LivePage> {
  const minutes = new Map<string, LiveMinute>();
  const socket = new WebSocket(`${system.url.replace("http", "ws")}/v1/live?token=${system.token}`);
  let frames = 0;
  socket.addEventListener("message", ({ data }) => {
    frames++;
    const frame = JSON.parse(String(data)) as LiveFrame;
    for (const minute of frame.type === "snapshot" ? frame.minutes : [frame]) minutes.set(minute.start, minute);
  });
  await until("the snapshot", 30_000, async () => frames > 0);
  return { minutes, close: () => socket.close() };
}
