/** While a dashboard is edited: its name, one more tile, and what becomes of the changes. */
import { useState } from "preact/hooks";
import type { Dashboard } from "../../../durable-objects/dashboards/dashboard.ts";
import { DASHBOARDS } from "../../../r2-layout/limits.ts";
import type { Problem } from "../shell/problem.ts";
import { OVERVIEW_ID } from "./overview.ts";
import type { DashboardState } from "./use-dashboard.ts";

export interface EditBarProps {
  id: string;
  draft: Dashboard;
  state: DashboardState;
  onName(name: string): void;
  onAdd(): void;
  /** The dashboard that is shown from now on. */
  onDone(id: string): void;
}

export function EditBar({ id, draft, state, onName, onAdd, onDone }: EditBarProps) {
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isAsking, setAsking] = useState(false);
  const [isSure, setSure] = useState(false);
  const isSaved = (state.saved?.version ?? 0) > 0;
  const tried = async (work: () => Promise<Problem | null>, then: () => void) => {
    setAsking(true);
    const failed = await work();
    setAsking(false);
    setProblem(failed);
    if (!failed) then();
  };
  const save = (overwrite: boolean) =>
    tried(
      () => state.save(draft, overwrite),
      () => onDone(id),
    );
  const saveAs = () => {
    let made = id;
    return tried(
      async () => {
        const answer = await state.saveAs(draft);
        if (answer.ok) made = answer.value;
        return answer.ok ? null : answer.error;
      },
      () => onDone(made),
    );
  };
  const remove = () =>
    tried(state.remove, () => {
      state.reload();
      onDone(OVERVIEW_ID);
    });
  const isMoved = problem?.reason === "dashboard_changed";
  const hasName = draft.name.trim() !== "";

  return (
    <form
      class="card edit-bar"
      aria-label="Edit the dashboard"
      onSubmit={(event) => {
        event.preventDefault();
        void save(false);
      }}
    >
      <label>
        Name
        <input
          value={draft.name}
          maxLength={DASHBOARDS.nameChars}
          required
          onInput={(event) => onName(event.currentTarget.value)}
        />
      </label>
      <button type="button" disabled={draft.tiles.length >= DASHBOARDS.tiles} onClick={onAdd}>
        Add a tile
      </button>
      <span class="spacer" />
      {isSaved && (
        <button
          type="button"
          class="plain"
          disabled={isAsking}
          onClick={() => (isSure ? void remove() : setSure(true))}
        >
          {isSure
            ? id === OVERVIEW_ID
              ? "Really, for everybody"
              : "Really delete it for everybody"
            : id === OVERVIEW_ID
              ? "Back to the original"
              : "Delete"}
        </button>
      )}
      <button type="button" class="plain" onClick={() => onDone(id)}>
        Discard
      </button>
      <button type="button" disabled={isAsking || !hasName} onClick={() => void saveAs()}>
        Save as new
      </button>
      <button type="submit" class="primary" disabled={isAsking || !hasName}>
        Save
      </button>
      {problem && (
        <div class="notice" role="alert">
          <p>
            <strong>{problem.title}.</strong>{" "}
            {isMoved ? "Yours is not saved yet." : (problem.detail ?? `It was not saved (${problem.reason}).`)}
          </p>
          {isMoved && (
            <p class="actions">
              <button
                type="button"
                onClick={() => {
                  state.reload();
                  onDone(id);
                }}
              >
                Take theirs
              </button>
              <button type="button" onClick={() => void save(true)}>
                Put mine in its place
              </button>
            </p>
          )}
        </div>
      )}
    </form>
  );
}
