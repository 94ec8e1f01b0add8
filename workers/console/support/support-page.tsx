/** What one user or device did: for whoever has them on the line. */
import { useState } from "preact/hooks";
import { Empty } from "../shell/states.tsx";
import { formatAddress } from "./address.ts";
import { KeysOverlay } from "./keys-overlay.tsx";
import { LookupBox } from "./lookup-box.tsx";
import { SearchResults } from "./search-results.tsx";
import { TimelineView } from "./timeline-view.tsx";
import { useAddress } from "./use-address.ts";
import { useKeys } from "./use-keys.ts";
import { useRecentUsers } from "./use-recent-users.ts";

export function SupportPage() {
  const [address, go] = useAddress();
  const text = address === null ? "" : "query" in address ? address.query : address.subject.id;
  return (
    <>
      <h1 class="hidden">Support</h1>
      <LookupBox text={text} busy={false} onLookup={(query) => go({ query })} />
      {address === null && <Welcome />}
      {address !== null && "query" in address && <SearchResults key={address.query} text={address.query} go={go} />}
      {address !== null && "subject" in address && (
        <TimelineView
          key={`${address.subject.kind} ${address.subject.id} ${address.at ?? ""}`}
          subject={address.subject}
          at={address.at}
          eventId={address.event}
          go={go}
        />
      )}
    </>
  );
}

function Welcome() {
  const [keysShown, showKeys] = useState(false);
  const recent = useRecentUsers();
  useKeys({ "/": () => document.getElementById("lookup")?.focus(), "?": () => showKeys(true) });
  return (
    <>
      <Empty title="Whom do you have on the line?">
        <p>
          Type whatever they can read out to you: what your application calls them, their address, the id of an event.
        </p>
        <p class="quiet">
          You see what they did, newest first and as it happens: an event appears here within ten seconds. Press{" "}
          <kbd>?</kbd> for the keys.
        </p>
        {recent.length > 0 && (
          <p class="recent">
            Seen in this local run a moment ago:
            {recent.map((id) => (
              <>
                {" "}
                <a key={id} href={formatAddress({ subject: { kind: "user", id } })}>
                  {id}
                </a>
              </>
            ))}
          </p>
        )}
      </Empty>
      <KeysOverlay open={keysShown} onClose={() => showKeys(false)} />
    </>
  );
}
