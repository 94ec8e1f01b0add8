/** What a text was found to be, where it is not just one thing; and what to do where it is nothing. */
import { useEffect, useState } from "preact/hooks";
import { request } from "../shell/api.ts";
import { formatClock, formatCount, formatDay } from "../shell/format.ts";
import type { Problem } from "../shell/problem.ts";
import { Empty, Failed, Loading } from "../shell/states.tsx";
import { type Address, formatAddress } from "./address.ts";
import { type EventMatch, eventLookupPath, type LookupAnswer, lookupPath, type Match } from "./lookup.ts";
import type { Go } from "./use-address.ts";

type Found = { readonly answer: LookupAnswer } | { readonly problem: Problem } | null;

/** @param go is called where there is just one thing that the text can be */
export function SearchResults({ text, go }: { text: string; go: Go }) {
  const [found, setFound] = useState<Found>(null);
  const [searching, setSearching] = useState<{ path: string; what: string }>({ path: lookupPath(text), what: text });
  useEffect(() => {
    const abort = new AbortController();
    setFound(null);
    request<LookupAnswer>(searching.path, { signal: abort.signal }).then(
      (answer) => {
        if (!answer.ok) return setFound({ problem: answer.error });
        const [only, ...others] = answer.value.matches;
        const address = only && others.length === 0 && addressOf(only);
        // Going back must not look the text up again, and lead here.
        if (address) return go(address, true);
        if (answer.value.taken_at && answer.value.matches.length === 0) {
          return setSearching({ path: eventLookupPath(text, null, Date.now()), what: "the lake for this event" });
        }
        setFound({ answer: answer.value });
      },
      (error: unknown) => {
        if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
      },
    );
    return () => abort.abort();
  }, [searching]);

  if (found === null) return <Loading what={searching.what} />;
  if ("problem" in found) {
    return <Failed problem={found.problem} scope="support" retry={() => setSearching({ ...searching })} />;
  }
  const { matches, more } = found.answer;
  if (matches.length === 0) {
    const path = eventLookupPath(text, LAKE_DAYS, Date.now());
    const searchLake = () => setSearching({ path, what: "the lake for this event" });
    return <Nothing text={text} searched={searching.what !== text} searchLake={searchLake} />;
  }
  return (
    <section class="card matches" aria-label="Found">
      <h2>
        <q>{text}</q> {matches.length === 1 ? "is found" : `is ${matches.length} things`}
      </h2>
      <ul>
        {matches.map((match) => (
          <li key={`${match.kind} ${match.kind === "event" ? match.event_time : match.id}`}>
            <MatchLink match={match} />
          </li>
        ))}
      </ul>
      {more && <p class="quiet">More have given this address than are listed: look one up by another trait.</p>}
    </section>
  );
}

/** Null: an event that names neither user nor device is in nobody's timeline. */
function addressOf(match: Match): Address | null {
  if (match.kind !== "event") return { subject: { kind: match.kind, id: match.id } };
  const { user_id: user, anonymous_id: device, event_time: at, event_id: event } = match;
  if (match.quarantined || (!user && !device)) return null;
  return { subject: user ? { kind: "user", id: user } : { kind: "device", id: device! }, at, event };
}

function MatchLink({ match }: { match: Match }) {
  const address = addressOf(match);
  if (match.kind === "event") return <EventFound match={match} address={address} />;
  const by = { user_id: "user id", anonymous_id: "device id", email: "e-mail address" }[match.by];
  return (
    <a href={formatAddress(address!)}>
      <strong>{match.kind === "user" ? "User" : "Device"}</strong> <code>{match.id}</code>
      <span class="quiet">
        by {by}
        {match.email && ` · ${match.email}`}
        {match.kind === "device" && match.users ? ` · ${formatCount(match.users)} users` : ""}
        {match.kind === "user" && ` · ${formatCount(match.events)} ${match.events === 1 ? "event" : "events"}`}
        {match.last_seen && ` · last seen ${when(match.last_seen)}`}
      </span>
    </a>
  );
}

function EventFound({ match, address }: { match: EventMatch; address: Address | null }) {
  const text = (
    <>
      <strong>Event</strong> {match.event_name}{" "}
      <span class="quiet">
        of {when(match.event_time)}, from {match.source}
      </span>
    </>
  );
  if (address) return <a href={formatAddress(address)}>{text}</a>;
  return (
    <p>
      {text}
      <span class="quiet">
        {match.quarantined
          ? "It did not fit its columns and is in quarantine: in no timeline. SQL finds it in the table quarantine."
          : "It names neither user nor device: in no timeline. SQL finds it in the table events."}
      </span>
    </p>
  );
}

/** How far back an event may be searched for in the lake, where no dedup window knows it. */
const LAKE_DAYS = 30;

function Nothing({ text, searched, searchLake }: { text: string; searched: boolean; searchLake(): void }) {
  return (
    <Empty title="Nothing is known under this">
      <p>
        No user, no device, no e-mail address and no event of the last week is called <code>{text}</code>. Ids are
        case-sensitive; what was sent a moment ago appears within ten seconds.
      </p>
      {searched ? (
        <p>Nor does the lake have an event of this id in the last {LAKE_DAYS} days.</p>
      ) : (
        <p class="actions">
          <button type="button" onClick={searchLake}>
            Search {LAKE_DAYS} days of the lake for an event
          </button>
        </p>
      )}
    </Empty>
  );
}

const when = (time: string): string => `${formatDay(Date.parse(time))}, ${formatClock(Date.parse(time))}`;
