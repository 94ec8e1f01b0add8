/** What changed in the minutes on the screen after they were final: asked for when a frame brings a new version. */
import { useEffect, useState } from "preact/hooks";
import { request } from "../shell/api.ts";
import { byMinute, type Change, type Corrections, correctedKey } from "./corrections.ts";
import type { LiveMinute } from "./minutes.ts";

/** Late events come one after the other: they are asked for together. */
const GATHER_MS = 300;
const NONE: Corrections = new Map();

export function useCorrections(
  minutes: readonly { readonly start: number; readonly minute: LiveMinute | null }[],
): Corrections {
  const [known, setKnown] = useState<Corrections>(NONE);
  const key = correctedKey(minutes);
  const from = minutes[0]?.start;
  useEffect(() => {
    if (key === "" || from === undefined) return setKnown(NONE);
    const aborted = new AbortController();
    const timer = setTimeout(async () => {
      const path = `/v1/rollups/changes?from=${new Date(from).toISOString()}&limit=1000`;
      const answer = await request<{ changes: Change[] }>(path, { signal: aborted.signal }).catch(() => null);
      // Without it the page still says that a minute was corrected.
      if (answer?.ok) setKnown(byMinute(answer.value.changes));
    }, GATHER_MS);
    return () => {
      clearTimeout(timer);
      aborted.abort();
    };
  }, [key]);
  return known;
}
