/** Whether the figures are live, in words; and unmistakably so when they are not. */
import { formatClock, formatDuration } from "../shell/format.ts";
import type { Live } from "./use-live.ts";

export function Badge({ live, now }: { live: Live; now: number }) {
  if (live.link.state === "open" && live.state) {
    const quietMs = now - (live.frameAt ?? now);
    return (
      <p class="badge live" role="status">
        <span class="dot" aria-hidden="true" />
        Live{quietMs > 10_000 && <span class="quiet"> · no event for {formatDuration(quietMs)}</span>}
      </p>
    );
  }
  return (
    <p class={live.state ? "badge stale" : "badge"} role="status">
      {live.state ? "Not live" : "Connecting…"}
    </p>
  );
}

/** Shown when figures are on the screen that no longer move. */
export function StaleNotice({ live, now }: { live: Live; now: number }) {
  if (live.link.state === "open" || live.link.state === "refused") return null;
  const waitMs = live.link.state === "lost" ? live.link.retryAt - now : 0;
  const since = live.frameAt !== null && `These figures are from ${formatClock(live.frameAt)} and do not move. `;
  return (
    <div class="notice stale" role="alert">
      <p>
        <strong>The connection is lost.</strong> {since}
        {waitMs > 0 ? `Trying again in ${formatDuration(waitMs)}.` : "Trying again…"}
      </p>
      <button type="button" onClick={live.retryNow}>
        Try now
      </button>
    </div>
  );
}
