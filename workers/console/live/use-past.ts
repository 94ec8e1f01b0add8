/** Answers of GET /v1/rollups for the tiles that show more than the hub tells: asked for together, again every half minute. */
import { useEffect, useRef, useState } from "preact/hooks";
import { request } from "../shell/api.ts";
import type { Problem } from "../shell/problem.ts";
import type { PastAnswer, PastQuery } from "./figures.ts";
import { type Point, type PointJson, pointOf } from "./points.ts";

const EVERY_MS = 30_000;

export interface Past {
  readonly answers: PastAnswer;
  /** Why the last asking of a query brought nothing. */
  readonly problems: ReadonlyMap<string, Problem>;
}

export function usePast(wanted: readonly PastQuery[]): Past {
  const [past, setPast] = useState<Past>({ answers: new Map(), problems: new Map() });
  const queries = [...new Map(wanted.map((query) => [query.key, query])).values()];
  const named = queries.map(({ key, count }) => `${key} ${count}`).join("|");
  const latest = useRef(queries);
  latest.current = queries;

  useEffect(() => {
    if (named === "") return;
    const aborted = new AbortController();
    const ask = async () => {
      if (document.visibilityState === "hidden") return;
      for (const query of latest.current) {
        const answer = await request<{ points: PointJson[] }>(pathOf(query, Date.now()), {
          signal: aborted.signal,
        }).catch(() => null);
        if (aborted.signal.aborted || !answer) return;
        setPast(({ answers, problems }) => {
          const failed = new Map(problems);
          if (!answer.ok) return { answers, problems: failed.set(query.key, answer.error) };
          failed.delete(query.key);
          const points: readonly Point[] = answer.value.points.map(pointOf);
          return { answers: new Map(answers).set(query.key, points), problems: failed };
        });
      }
    };
    void ask();
    const timer = setInterval(ask, EVERY_MS);
    document.addEventListener("visibilitychange", ask);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", ask);
      aborted.abort();
    };
  }, [named]);
  return past;
}

function pathOf({ key, grainMs, count }: PastQuery, now: number): string {
  const current = Math.floor(now / grainMs) * grainMs;
  const iso = (ms: number) => new Date(ms).toISOString();
  return `/v1/rollups?${key}&from=${iso(current - (count - 1) * grainMs)}&to=${iso(current + grainMs)}`;
}
