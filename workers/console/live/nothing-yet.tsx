/** What the live page shows before the first event. */
import { Empty } from "../shell/states.tsx";
import { isLocal } from "../shell/token.ts";

export function NothingYet() {
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
