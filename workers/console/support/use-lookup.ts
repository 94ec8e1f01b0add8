/** Loads one subject's timeline page by page, its sessions and its profile; the address bar names what is shown. */
import { useCallback, useEffect, useState } from "preact/hooks";
import { request } from "../shell/api.ts";
import type { Problem } from "../shell/problem.ts";
import {
  eventsPath,
  type Lookup,
  lookupQuery,
  parseLookup,
  profilePath,
  type Session,
  sessionsPath,
  type TimelineEvent,
  type TimelinePage,
  type UserProfile,
} from "./timeline-data.ts";

export const MINUTES_DEFAULT = 60;

export interface Timeline {
  readonly events: readonly TimelineEvent[];
  readonly next: string | null;
  readonly loading: boolean;
  readonly problem: Problem | null;
  /** Of a user only; null while they load or where they could not be had. */
  readonly profile: UserProfile | null;
  readonly sessions: readonly Session[];
  /** When the first page came and how long it took, milliseconds. */
  readonly loadedAt: number | null;
  readonly tookMs: number;
}

const NOTHING: Timeline = {
  events: [],
  next: null,
  loading: true,
  problem: null,
  profile: null,
  sessions: [],
  loadedAt: null,
  tookMs: 0,
};

/** The lookup in the address bar, and how to change it. */
export function useAddress(): [Lookup | null, (lookup: Lookup) => void] {
  const [lookup, setLookup] = useState(() => parseLookup(location.search, MINUTES_DEFAULT));
  useEffect(() => {
    const back = () => setLookup(parseLookup(location.search, MINUTES_DEFAULT));
    addEventListener("popstate", back);
    return () => removeEventListener("popstate", back);
  }, []);
  const go = useCallback((next: Lookup) => {
    const query = lookupQuery(next);
    if (query !== location.search) history.pushState(null, "", query);
    setLookup({ ...next });
  }, []);
  return [lookup, go];
}

export function useTimeline(lookup: Lookup): { timeline: Timeline; loadMore(): void } {
  const [timeline, setTimeline] = useState<Timeline>(NOTHING);
  const change = useCallback((part: Partial<Timeline>) => setTimeline((before) => ({ ...before, ...part })), []);

  useEffect(() => {
    const abort = new AbortController();
    // What is on the screen stays until the answer replaces it, if it is about the same subject.
    change({ loading: true, problem: null });
    void load(lookup, abort.signal, change).catch(ignoreAbort);
    return () => abort.abort();
  }, [lookup]);

  const loadMore = () => {
    if (timeline.loading || timeline.next === null) return;
    change({ loading: true, problem: null });
    void request<TimelinePage>(eventsPath(lookup, timeline.next)).then((answer) => {
      if (!answer.ok) return change({ loading: false, problem: answer.error });
      const events = [...timeline.events, ...answer.value.events];
      change({ loading: false, events, next: answer.value.next });
    });
  };
  return { timeline, loadMore };
}

async function load(lookup: Lookup, signal: AbortSignal, change: (part: Partial<Timeline>) => void): Promise<void> {
  const started = performance.now();
  const init = { signal };
  if (lookup.kind === "user") {
    void request<UserProfile>(profilePath(lookup), init)
      .then((answer) => answer.ok && change({ profile: answer.value }))
      .catch(ignoreAbort);
    void request<{ sessions: Session[] }>(sessionsPath(lookup), init)
      .then((answer) => answer.ok && change({ sessions: answer.value.sessions }))
      .catch(ignoreAbort);
  }
  const page = await request<TimelinePage>(eventsPath(lookup, null), init);
  const loadedAt = Date.now();
  const tookMs = performance.now() - started;
  if (page.ok) change({ loading: false, events: page.value.events, next: page.value.next, loadedAt, tookMs });
  else change({ ...NOTHING, loading: false, problem: page.error });
}

/** A newer lookup has taken over. */
function ignoreAbort(error: unknown): void {
  if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
}
