/** Who this is: a user's counts, devices and newest traits; a device's users. */
import { formatCount, formatDay, formatMoney, formatWhen } from "../shell/format.ts";
import { formatAddress, type Subject } from "./address.ts";
import type { DeviceFacts, UserProfile } from "./events.ts";

const COUNTS_SHOWN = 8;

export function SubjectPanel({ profile, device }: { profile: UserProfile | null; device: DeviceFacts | null }) {
  const isWide = matchMedia("(min-width: 60rem)").matches;
  return (
    <aside aria-label={device ? "Device" : "Profile"}>
      {/* Beside the timeline where there is room; above it, closed, on a phone. */}
      <details class="card profile" open={isWide}>
        <summary>
          <h2>{device ? "Device" : "Profile"}</h2>
        </summary>
        {profile && <ProfileFacts profile={profile} />}
        {device && <DeviceUsers device={device} />}
      </details>
    </aside>
  );
}

const when = (time: string | null) => (time === null ? "–" : formatWhen(Date.parse(time), Date.now()));

function ProfileFacts({ profile }: { profile: UserProfile }) {
  const counts = Object.entries(profile.counts).sort((a, b) => b[1] - a[1]);
  const revenue = Object.entries(profile.revenue).filter(([, value]) => value !== 0);
  const values = Object.entries(profile.last_values).sort((a, b) => (a[0] < b[0] ? -1 : 1));
  return (
    <>
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
          <ul class="others">
            {profile.devices.map((device) => (
              <li key={device.anonymous_id}>
                <SubjectLink subject={{ kind: "device", id: device.anonymous_id }} />
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
    </>
  );
}

function DeviceUsers({ device }: { device: DeviceFacts }) {
  const { users } = device;
  return (
    <>
      <dl class="facts">
        <Fact name="Anonymous events" value={formatCount(device.events)} />
        {device.first_seen && <Fact name="First seen" value={when(device.first_seen)} />}
      </dl>
      <h3>{users.length === 1 ? "User" : "Users"} on this device</h3>
      {users.length === 0 && <p class="quiet">Nobody has signed in on it.</p>}
      <ul class="others">
        {users.map((user) => (
          <li key={user.user_id}>
            <SubjectLink subject={{ kind: "user", id: user.user_id }} />
            <span class="quiet">last seen {when(user.last_seen)}</span>
          </li>
        ))}
      </ul>
      {device.cut && <p class="quiet">There were more: the newest are listed.</p>}
    </>
  );
}

const SubjectLink = ({ subject }: { subject: Subject }) => <a href={formatAddress({ subject })}>{subject.id}</a>;

function Fact({ name, value, title }: { name: string; value: string; title?: string }) {
  return (
    <div title={title}>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}
