/** The figures on top: events, rate, users, revenue. */
import { formatCount, formatMinute, formatMoney, formatRate, formatShort } from "../shell/format.ts";
import { eventRate, eventsOf, type LiveState, lastMinutes, revenueOf } from "./minutes.ts";
import type { HourUsers } from "./use-hour-users.ts";

export function Totals({ state, now, hourUsers }: { state: LiveState; now: number; hourUsers: HourUsers | null }) {
  const minutes = lastMinutes(state, now).map(({ minute }) => minute);
  const current = minutes.at(-1) ?? null;
  const peak = Math.max(...minutes.map((minute) => minute?.events ?? 0));
  const [main, ...others] = revenueOf(minutes);
  const [mainNow] = revenueOf([current]);
  return (
    <dl class="totals">
      <div class="card">
        <dt>Events, last 60 minutes</dt>
        <dd>{formatShort(eventsOf(minutes))}</dd>
        <dd class="quiet">{formatCount(current?.events ?? 0)} this minute</dd>
      </div>
      <div class="card">
        <dt>Events per second</dt>
        <dd>{formatRate(eventRate(state, now))}</dd>
        <dd class="quiet">{formatRate(peak / 60)} in the busiest minute</dd>
      </div>
      <div class="card">
        <dt>Users this minute</dt>
        <dd>{formatShort(current?.users ?? 0)}</dd>
        <dd class="quiet">
          {hourUsers ? `${formatCount(hourUsers.users)} since ${formatMinute(hourUsers.since)}` : "distinct"}
        </dd>
      </div>
      <div class="card">
        <dt>Revenue, last 60 minutes</dt>
        <dd>{main ? formatMoney(main[1], main[0]) : "–"}</dd>
        <dd class="quiet">
          {others.length > 0
            ? others.map(([currency, value]) => formatMoney(value, currency)).join(" · ")
            : `${mainNow ? formatMoney(mainNow[1], mainNow[0]) : "nothing"} this minute`}
        </dd>
      </div>
    </dl>
  );
}
