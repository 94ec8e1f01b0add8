/** The timeline of one subject, for as long as it is shown. */
import { useEffect, useState } from "preact/hooks";
import type { Subject } from "./address.ts";
import { TimelineStore } from "./timeline-store.ts";

/** @param at as in the address. Give the component a key of both: another subject is another store. */
export function useTimeline(subject: Subject, at: string | undefined): TimelineStore {
  const [, render] = useState(0);
  const [store] = useState(() => new TimelineStore(subject, at, () => render((count) => count + 1)));
  useEffect(() => {
    store.start();
    return () => store.stop();
  }, [store]);
  return store;
}
