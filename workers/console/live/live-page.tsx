/** What is happening right now: the last hour by the minute, moved by the live websocket. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { countryName } from "../shell/format.ts";
import { Empty, Failed, Loading } from "../shell/states.tsx";
import { isLocal } from "../shell/token.ts";
import { Badge, StaleNotice } from "./connection.tsx";
import { isCorrected } from "./corrections.ts";
import { MinuteChart, MinuteTable } from "./minute-chart.tsx";
import { type Dimension, eventsOf, lastMinutes, MINUTES_SHOWN, topValues } from "./minutes.ts";
import { TopList } from "./top-list.tsx";
import { Totals } from "./totals.tsx";
import { useCorrections } from "./use-corrections.ts";
import { useHourUsers } from "./use-hour-users.ts";
import { useLive } from "./use-live.ts";

const LISTS: readonly { dimension: Dimension; title: string; label?: (value: string) => string }[] = [
  { dimension: "page_path", title: "Pages" },
  { dimension: "event_name", title: "Events" },
  { dimension: "country", title: "Countries", label: countryName },
  { dimension: "device_type", title: "Devices" },
];
const LIST_ROWS = 8;

export function LivePage() {
  const live = useLive();
  const hourUsers = useHourUsers();
  const now = useNow();
  const [span, setSpan] = useState(MINUTES_SHOWN);

  const { state, link } = live;
  const minute = Math.floor(now / 60_000);
  const minutes = useMemo(() => (state ? lastMinutes(state, Date.now()) : []), [state, minute]);
  const corrections = useCorrections(minutes);
  if (link.state === "refused") return <Failed problem={link.problem} scope="live" />;
  if (!state) {
    return (
      <>
        <StaleNotice live={live} now={now} />
        <Loading what="the last hour" />
      </>
    );
  }

  const listed = minutes.slice(-span).map((entry) => entry.minute);
  const total = eventsOf(listed);
  const isEmpty = minutes.every((entry) => entry.minute === null);
  return (
    <div class={link.state === "open" ? undefined : "is-stale"}>
      <div class="title">
        <h1>Live</h1>
        <Badge live={live} now={now} />
      </div>
      <StaleNotice live={live} now={now} />
      {isEmpty ? (
        <NothingYet />
      ) : (
        <div class="figures">
          <Totals state={state} now={now} hourUsers={hourUsers} />
          <section class="card">
            <div class="title">
              <h2>Events per minute</h2>
              <p class="legend">
                <span class="swatch" /> final <span class="swatch hatched" /> provisional
                {minutes.some(({ minute: shown }) => isCorrected(shown)) && (
                  <>
                    <span class="mark" /> corrected
                  </>
                )}
              </p>
            </div>
            <MinuteChart minutes={minutes} corrections={corrections} />
            <MinuteTable minutes={minutes} corrections={corrections} />
          </section>
          <div class="title">
            <h2>Most frequent</h2>
            <fieldset class="choice">
              <legend class="hidden">Time span of the lists</legend>
              {[5, MINUTES_SHOWN].map((value) => (
                <label key={value}>
                  <input type="radio" name="span" checked={span === value} onChange={() => setSpan(value)} />
                  {value} minutes
                </label>
              ))}
            </fieldset>
          </div>
          <div class="lists">
            {LISTS.map(({ dimension, ...list }) => (
              <TopList key={dimension} {...list} values={topValues(listed, dimension, LIST_ROWS)} total={total} />
            ))}
          </div>
        </div>
      )}
    </div>
  );
}

function NothingYet() {
  const tag = `<script async src="${location.origin}/beacon.js" data-write-key="${isLocal ? "dev" : "YOUR_WRITE_KEY"}"></script>`;
  return (
    <Empty title="No events in the last 60 minutes">
      <p>This page moves as soon as one arrives. To send page views, put this into a page:</p>
      <pre>{tag}</pre>
      <p>Or send one by hand:</p>
      <pre>{`curl -d '{"events":[{"event_type":"track","event_name":"hello"}]}' '${location.origin}/v1/events?writeKey=${isLocal ? "dev" : "YOUR_WRITE_KEY"}'`}</pre>
    </Empty>
  );
}

/** This browser's clock, once a second. */
function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}
