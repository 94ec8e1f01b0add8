/** Who this is: first and last seen, counts, devices, the newest value of each trait. */
import { formatCount, formatDay, formatMoney, formatWhen } from "../shell/format.ts";
import { lookupQuery, type UserProfile } from "./timeline-data.ts";

const COUNTS_SHOWN = 8;

export function Profile({ profile, minutes }: { profile: UserProfile; minutes: number }) {
  const now = Date.now();
  const isWide = matchMedia("(min-width: 60rem)").matches;
  const when = (time: string | null) => (time === null ? "–" : formatWhen(Date.parse(time), now));
  const counts = Object.entries(profile.counts).sort((a, b) => b[1] - a[1]);
  const revenue = Object.entries(profile.revenue).filter(([, value]) => value !== 0);
  const values = Object.entries(profile.last_values).sort((a, b) => (a[0] < b[0] ? -1 : 1));
  return (
    <aside aria-label="Profile">
      {/* Beside the timeline where there is room; above it, closed, on a phone. */}
      <details class="card profile" open={isWide}>
        <summary>
          <h2>Profile</h2>
        </summary>
        <dl class="facts">
          <Fact name="Last seen" value={when(profile.last_seen)} />
          <Fact name="First seen" value={when(profile.first_seen)} />
          <Fact name="Events" value={formatCount(profile.events)} />
          <Fact name="Active days" value={formatCount(profile.active_days.length)} />
          {revenue.length > 0 && (
            <Fact name="Revenue" value={revenue.map(([currency, value]) => formatMoney(value, currency)).join(", ")} />
          )}
        </dl>

        {profile.devices.length > 0 && (
          <>
            <h3>Devices</h3>
            <ul class="devices">
              {profile.devices.map((device) => (
                <li key={device.anonymous_id}>
                  <a href={lookupQuery({ kind: "device", id: device.anonymous_id, minutes })}>{device.anonymous_id}</a>
                  <span class="quiet">
                    {device.device_type ?? "unknown kind"}, {formatDay(Date.parse(device.last_seen))}
                  </span>
                </li>
              ))}
            </ul>
          </>
        )}

        {counts.length > 0 && (
          <>
            <h3>Events by name</h3>
            <dl class="facts counts">
              {counts.slice(0, COUNTS_SHOWN).map(([name, count]) => (
                <Fact key={name} name={name} value={formatCount(count)} />
              ))}
            </dl>
            {counts.length > COUNTS_SHOWN && <p class="quiet">and {counts.length - COUNTS_SHOWN} more names</p>}
          </>
        )}

        {values.length > 0 && (
          <>
            <h3>Last values</h3>
            <dl class="facts">
              {values.map(([name, { value, at }]) => (
                <Fact key={name} name={name} value={value} title={`since ${when(at)}`} />
              ))}
            </dl>
          </>
        )}
      </details>
    </aside>
  );
}

function Fact({ name, value, title }: { name: string; value: string; title?: string }) {
  return (
    <div title={title}>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}
