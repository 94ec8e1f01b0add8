/** Whether the figures are live, in words; and unmistakably so when they are not. */
import { formatClock, formatDuration, formatMinute } from "../shell/format.ts";
import { laggingSince } from "./minutes.ts";
import type { Live } from "./use-live.ts";

export const isStale = ({ link, board }: Live): boolean => link.state !== "open" && board.minutes !== null;

export function Badge({ live }: { live: Live }) {
  const { now, board, link } = live;
  if (link.state === "open" && board.minutes) {
    const quietMs = now - (live.frameAt ?? now);
    return (
      <p class="badge live" role="status">
        <span class="dot" aria-hidden="true" />
        Live{quietMs > 10_000 && <span class="quiet"> · no event for {formatDuration(quietMs)}</span>}
      </p>
    );
  }
  return (
    <p class={board.minutes ? "badge stale" : "badge"} role="status">
      {board.minutes ? "Not live" : "Connecting…"}
    </p>
  );
}

/** Shown when figures are on the screen that no longer move, or that lag behind. */
export function StaleNotice({ live }: { live: Live }) {
  const { now, link, board } = live;
  if (link.state === "refused") return null;
  if (link.state === "open") {
    const since = board.minutes && laggingSince(board.minutes, now);
    if (since === null) return null;
    return (
      <div class="notice stale" role="alert">
        <p>
          <strong>The figures lag behind.</strong> Minutes from {formatMinute(since)} on are still not final: events of
          them may be missing. The operations page shows what is slow.
        </p>
        <a href="/operations">Operations</a>
      </div>
    );
  }
  const waitMs = link.state === "lost" ? link.retryAt - now : 0;
  const since = live.frameAt !== null && `These figures are from ${formatClock(live.frameAt)} and do not move. `;
  if (link.state === "connecting" && live.frameAt === null) return null;
  return (
    <div class="notice stale" role="alert">
      <p>
        <strong>The connection is lost.</strong> {since}
        {/* Read aloud once, not each second. */}
        <span aria-live="off">{waitMs > 0 ? `Trying again in ${formatDuration(waitMs)}.` : "Trying again…"}</span>
      </p>
      <button type="button" onClick={live.retryNow}>
        Try now
      </button>
    </div>
  );
}
