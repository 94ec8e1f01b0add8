/** The dashboards on the server: the list, the one that is shown, and what becomes of it. */
import { useCallback, useEffect, useState } from "preact/hooks";
import type { Dashboard } from "../../../durable-objects/dashboards/dashboard.ts";
import { err, ok, type Result } from "../../../r2-layout/result.ts";
import { request } from "../shell/api.ts";
import type { Problem } from "../shell/problem.ts";
import { OVERVIEW, OVERVIEW_ID } from "./overview.ts";

const PATH = "/v1/dashboards";
const RELOAD_MS = 60_000;

export interface DashboardEntry {
  readonly id: string;
  readonly name: string;
}

export interface Saved {
  readonly id: string;
  /** 0: it has never been saved. */
  readonly version: number;
  readonly dashboard: Dashboard;
}

export interface DashboardState {
  /** Those of the server; the overview is there besides. */
  readonly list: readonly DashboardEntry[];
  readonly saved: Saved | null;
  /** Why it cannot be shown. */
  readonly problem: Problem | null;
  reload(): void;
  /** @param overwrite whatever somebody else has made of it meanwhile */
  save(dashboard: Dashboard, overwrite: boolean): Promise<Problem | null>;
  /** Under an id of its own, which is the answer. */
  saveAs(dashboard: Dashboard): Promise<Result<string, Problem>>;
  remove(): Promise<Problem | null>;
}

type Json = Dashboard & { readonly id: string; readonly version: number };

const savedOf = ({ id, version, name, span, filter, tiles }: Json): Saved => ({
  id,
  version,
  dashboard: { name, span, filter, tiles },
});

/** @param isEdited it then stays what it was: the version that a change is made to */
export function useDashboard(id: string, isEdited: boolean): DashboardState {
  const [list, setList] = useState<readonly DashboardEntry[]>([]);
  const [saved, setSaved] = useState<Saved | null>(null);
  const [failed, setFailed] = useState<{ readonly id: string; readonly problem: Problem } | null>(null);
  const [reloads, setReloads] = useState(0);

  const askList = useCallback(async () => {
    const answer = await request<{ dashboards: DashboardEntry[] }>(PATH);
    if (answer.ok) setList(answer.value.dashboards);
    return answer;
  }, []);

  useEffect(() => {
    const aborted = new AbortController();
    const ask = async (): Promise<Result<Saved, Problem>> => {
      const listed = await askList();
      if (!listed.ok) return listed;
      // Not asked for where it is not there: a browser logs every 404 as an error.
      const isThere = listed.value.dashboards.some((entry) => entry.id === id);
      if (id === OVERVIEW_ID && !isThere) return ok({ id, version: 0, dashboard: OVERVIEW });
      const answer = await request<Json>(`${PATH}/${encodeURIComponent(id)}`, { signal: aborted.signal });
      return answer.ok ? ok(savedOf(answer.value)) : answer;
    };
    ask().then(
      (answer) => {
        if (aborted.signal.aborted) return;
        setFailed(answer.ok ? null : { id, problem: answer.error });
        if (answer.ok) setSaved(answer.value);
      },
      () => {}, // Aborted.
    );
    return () => aborted.abort();
  }, [id, reloads]);

  // A screen on a wall is never loaded anew: what somebody changes reaches it all the same.
  useEffect(() => {
    if (isEdited) return;
    const timer = setInterval(() => {
      if (document.visibilityState !== "hidden") setReloads((count) => count + 1);
    }, RELOAD_MS);
    return () => clearInterval(timer);
  }, [isEdited]);

  const put = async (target: string, dashboard: Dashboard, condition: Record<string, string>) => {
    const init = { method: "PUT", body: JSON.stringify(dashboard), headers: condition };
    const answer = await request<Json>(`${PATH}/${target}`, init);
    if (answer.ok) void askList();
    return answer;
  };
  const shown = saved?.id === id ? saved : null;
  return {
    list,
    saved: shown,
    problem: failed?.id === id ? failed.problem : null,
    reload: () => setReloads((count) => count + 1),
    async save(dashboard, overwrite) {
      const version = shown?.version ?? 0;
      const condition: Record<string, string> =
        version === 0 ? { "If-None-Match": "*" } : { "If-Match": `"${version}"` };
      const answer = await put(id, dashboard, overwrite ? {} : condition);
      if (!answer.ok) return answer.error;
      setSaved(savedOf(answer.value));
      return null;
    },
    async saveAs(dashboard) {
      for (const target of idsFor(dashboard.name)) {
        const answer = await put(target, dashboard, { "If-None-Match": "*" });
        if (answer.ok) return ok(target);
        if (answer.error.reason !== "dashboard_changed") return err(answer.error);
      }
      throw new RangeError("a random id was taken");
    },
    async remove() {
      const answer = await request<null>(`${PATH}/${encodeURIComponent(id)}`, { method: "DELETE" });
      if (!answer.ok && answer.error.status !== 404) return answer.error;
      void askList();
      return null;
    },
  };
}

/** Its name as an id; then, as that may be taken, with a random end. */
function* idsFor(name: string): Generator<string> {
  const plain = name
    .toLowerCase()
    .normalize("NFKD")
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
  const base = (plain || "dashboard").slice(0, 50);
  if (base !== OVERVIEW_ID) yield base;
  yield `${base}-${crypto.randomUUID().slice(0, 8)}`;
}
