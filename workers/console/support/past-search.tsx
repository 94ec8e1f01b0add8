/** The way beyond what timelines keep: days of the lake, newest first, with how far it has come. */
import { formatDay } from "../shell/format.ts";
import type { TimelineStore } from "./timeline-store.ts";

const DAY_MS = 86_400_000;

export function PastSearch({ store }: { store: TimelineStore }) {
  const { busy, ended, events, profile, reached, pastEnded } = store.state;
  if (!profile?.first_seen) return null;
  const firstMs = Date.parse(profile.first_seen);
  const oldestMs = events.length > 0 ? Date.parse(events.at(-1)!.event_time) : Date.now();
  if (busy === "past" || (store.isPast && busy !== null)) {
    const downTo = reached === null ? oldestMs : Date.parse(reached);
    return (
      <div class="card past" role="status">
        <p>
          Looking through the lake, back to {formatDay(downTo)}
          <span class="quiet"> of {formatDay(firstMs)}, when this user was first seen</span>
        </p>
        <progress
          aria-label="How much of the time has been looked through"
          max={Math.max(1, Date.now() - firstMs)}
          value={Math.max(0, Date.now() - Math.max(downTo, firstMs))}
        />
        {busy === "past" && (
          <button type="button" onClick={() => store.stopLookingBack()}>
            Stop
          </button>
        )}
      </div>
    );
  }
  if (!ended) return null;
  // Days are UTC, and the oldest event of a day may be among the loaded ones.
  const older = profile.active_days.filter((day) => Date.parse(day) < Math.floor(oldestMs / DAY_MS) * DAY_MS);
  const more = older.length > 0 || firstMs < oldestMs;
  if (pastEnded || store.isPast || !more) return <p class="quiet end">That is everything.</p>;
  return (
    <div class="past-ask">
      <button type="button" onClick={() => store.lookBack()}>
        Look further back
      </button>
      <p class="quiet">
        {older.length > 0 ? `${older.length} earlier active ${older.length === 1 ? "day" : "days"}, ` : ""}
        first seen {formatDay(firstMs)}. Older events come from the lake, day by day.
      </p>
    </div>
  );
}
