/** Distinct users since the hour began: minutes cannot be added up, so the rollups are asked now and then. */
import { useEffect, useState } from "preact/hooks";
import { request } from "../shell/api.ts";

const EVERY_MS = 15_000;
const HOUR_MS = 3_600_000;

export interface HourUsers {
  readonly since: number;
  readonly users: number;
}

/** @returns null while unknown: the page does without. */
export function useHourUsers(): HourUsers | null {
  const [known, setKnown] = useState<HourUsers | null>(null);
  useEffect(() => {
    const ask = async () => {
      if (document.visibilityState === "hidden") return;
      const since = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
      const range = `from=${new Date(since).toISOString()}&to=${new Date(since + HOUR_MS).toISOString()}`;
      const answer = await request<{ points: { value: number }[] }>(`/v1/rollups?metric=users&grain=hour&${range}`);
      const users = answer.ok ? answer.value.points[0]?.value : undefined;
      setKnown(users === undefined ? null : { since, users });
    };
    void ask();
    const timer = setInterval(ask, EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  return known;
}
