/** What one user or device did: for whoever has them on the line. */
import { formatClock, formatCount, formatDuration } from "../shell/format.ts";
import { Empty, Failed, Loading } from "../shell/states.tsx";
import { LookupForm } from "./lookup-form.tsx";
import { Profile } from "./profile.tsx";
import { SessionTimeline } from "./session-timeline.tsx";
import { groupBySession, type Lookup, lookupQuery, summaryOf, usersOf } from "./timeline-data.ts";
import { useAddress, useTimeline } from "./use-lookup.ts";

export function SupportPage() {
  const [lookup, go] = useAddress();
  return (
    <>
      <h1 class="hidden">Support</h1>
      <LookupForm lookup={lookup} onLookup={go} />
      {lookup ? (
        <Found key={`${lookup.kind} ${lookup.id}`} lookup={lookup} refresh={() => go(lookup)} go={go} />
      ) : (
        <Empty title="Whom do you have on the line?">
          <p>Look up a user by the id your application gave them, or a device by its anonymous id.</p>
          <p class="quiet">Events appear here within ten seconds.</p>
        </Empty>
      )}
    </>
  );
}

function Found({ lookup, refresh, go }: { lookup: Lookup; refresh(): void; go(lookup: Lookup): void }) {
  const { timeline, loadMore } = useTimeline(lookup);
  const { events, loading, problem, profile, loadedAt } = timeline;
  if (problem && events.length === 0) return <Failed problem={problem} scope="support" retry={refresh} />;
  if (loadedAt === null) return <Loading what="the timeline" />;

  const span = lookup.minutes === 60 ? "hour" : formatDuration(lookup.minutes * 60_000);
  const isKnown = profile !== null && profile.events > 0;
  return (
    <div class={isKnown ? "found with-profile" : "found"}>
      <div class="timeline">
        <div class="title">
          <p class="quiet" role="status">
            {formatCount(events.length)}
            {timeline.next !== null && "+"} {events.length === 1 ? "event" : "events"} in the last {span}, as of{" "}
            {formatClock(loadedAt)} ({Math.round(timeline.tookMs)} ms)
          </p>
          <button type="button" onClick={refresh} disabled={loading}>
            Refresh
          </button>
        </div>
        {lookup.kind === "device" && <UsersHere users={usersOf(events)} minutes={lookup.minutes} />}
        {events.length === 0 && <NoEvents lookup={lookup} isKnown={isKnown} go={go} />}
        {groupBySession(events).map((group) => (
          <SessionTimeline
            key={group.key}
            group={group}
            summary={summaryOf(group, timeline.sessions)}
            minutes={lookup.minutes}
          />
        ))}
        {problem && <Failed problem={problem} scope="support" retry={loadMore} />}
        {timeline.next !== null && !problem && (
          <button type="button" class="more" onClick={loadMore} disabled={loading}>
            {loading ? "Loading…" : "Load earlier events"}
          </button>
        )}
      </div>
      {isKnown && <Profile profile={profile} minutes={lookup.minutes} />}
    </div>
  );
}

function UsersHere({ users, minutes }: { users: readonly string[]; minutes: number }) {
  if (users.length === 0) return null;
  return (
    <p class="card users">
      {users.length === 1 ? "User on this device:" : "Users on this device:"}
      {users.map((id) => (
        <a key={id} href={lookupQuery({ kind: "user", id, minutes })}>
          {id}
        </a>
      ))}
    </p>
  );
}

function NoEvents({ lookup, isKnown, go }: { lookup: Lookup; isKnown: boolean; go(lookup: Lookup): void }) {
  const longest = 30 * 24 * 60;
  const other = lookup.kind === "user" ? "device" : "user";
  return (
    <Empty title={isKnown ? "Nothing in this time" : `No events of this ${lookup.kind}`}>
      <p>
        {isKnown
          ? "There are earlier events: look further back."
          : "Check the spelling (ids are case-sensitive), look further back, or try the other kind of id."}
      </p>
      <p class="actions">
        {lookup.minutes < longest && (
          <button type="button" onClick={() => go({ ...lookup, minutes: longest })}>
            Look back 30 days
          </button>
        )}
        {!isKnown && (
          <button type="button" onClick={() => go({ ...lookup, kind: other })}>
            Look for a {other} with this id
          </button>
        )}
      </p>
    </Empty>
  );
}
