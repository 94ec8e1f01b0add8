/** The form of a tile: what it shows, how, and how wide. What nothing counts yet can be had counted from here. */
import { useEffect, useRef, useState } from "preact/hooks";
import {
  CORE_METRICS,
  type CoreMetric,
  type DashboardTile,
  type TileWidth,
  type View,
  WIDTHS,
} from "../../../durable-objects/dashboards/dashboard.ts";
import type { Problem } from "../shell/problem.ts";
import { type Definition, fieldsOf } from "./definitions.ts";
import { DIMENSIONS } from "./minutes.ts";
import { NEW_ROLLUP, requestOfDraft } from "./rollup-draft.ts";
import { RollupFacts } from "./rollup-facts.tsx";
import { RollupForm } from "./rollup-form.tsx";
import { fieldText } from "./titles.ts";
import type { Definitions } from "./use-definitions.ts";

const CORE_TEXT: Readonly<Record<CoreMetric, string>> = {
  events: "Events",
  rate: "Events per second",
  users: "Users",
  revenue: "Revenue",
};
const VIEW_TEXT: Readonly<Record<View, string>> = {
  figure: "A figure",
  chart: "A chart",
  list: "A list of the largest",
  funnel: "A funnel",
};
const SOMETHING_ELSE = "new";

export interface TileEditorProps {
  /** Null: a new one. */
  tile: DashboardTile | null;
  definitions: Definitions;
  onDone(tile: DashboardTile): void;
  onClose(): void;
}

export function TileEditor({ tile, definitions, onDone, onClose }: TileEditorProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const [draft, setDraft] = useState<Omit<DashboardTile, "id">>(
    tile ?? { title: "", view: "figure", metric: "events", by: null, width: 1 },
  );
  const [rollup, setRollup] = useState(NEW_ROLLUP);
  const [isAsking, setAsking] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  const known = definitions.known ?? [];
  const isNew = draft.metric === SOMETHING_ELSE;
  const counted = known.find(({ id }) => id === draft.metric);
  const choices = isNew
    ? choicesOf(
        rollup.measure,
        rollup.by.filter((one) => one.trim() !== ""),
      )
    : choicesOfMetric(draft.metric, known);
  const view = choices.views.includes(draft.view) ? draft.view : choices.views[0]!;
  const by = choices.by(view).includes(draft.by) ? draft.by : choices.by(view)[0]!;
  const set = (change: Partial<DashboardTile>) => setDraft({ ...draft, ...change });

  const submit = async (event: Event) => {
    event.preventDefault();
    setWrong(null);
    let { metric } = draft;
    if (isNew) {
      const wanted = requestOfDraft(rollup);
      if (!wanted.ok) return setWrong(wanted.error);
      setAsking(true);
      const made = await definitions.define(wanted.value);
      setAsking(false);
      if (!made.ok) return setWrong(whyNot(made.error));
      metric = made.value.id;
    }
    onDone({ ...draft, id: tile?.id ?? crypto.randomUUID(), metric, view, by: by?.trim() ?? null });
  };

  return (
    <dialog ref={dialog} class="tile-editor" aria-labelledby="tile-editor-title" onClose={onClose}>
      <form onSubmit={submit}>
        <div class="title">
          <h2 id="tile-editor-title">{tile ? "Edit the tile" : "Add a tile"}</h2>
          <button type="button" class="plain" onClick={onClose}>
            Cancel
          </button>
        </div>
        <label>
          Shows
          <select value={draft.metric} onChange={(event) => set({ metric: event.currentTarget.value })}>
            {CORE_METRICS.map((metric) => (
              <option key={metric} value={metric}>
                {CORE_TEXT[metric]}
              </option>
            ))}
            {known.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
            <option value={SOMETHING_ELSE}>Something else: have it counted…</option>
          </select>
        </label>
        {counted && (
          <RollupFacts key={counted.id} definition={counted} onRemove={() => definitions.remove(counted.id)} />
        )}
        {isNew && <RollupForm draft={rollup} onChange={setRollup} />}
        <div class="pair">
          <label>
            As
            <select value={view} onChange={(event) => set({ view: event.currentTarget.value as View })}>
              {choices.views.map((one) => (
                <option key={one} value={one}>
                  {VIEW_TEXT[one]}
                </option>
              ))}
            </select>
          </label>
          <label>
            By
            <select
              value={by ?? ""}
              disabled={choices.by(view).length < 2}
              onChange={(event) => set({ by: event.currentTarget.value || null })}
            >
              {choices.by(view).map((one) => (
                <option key={one} value={one ?? ""}>
                  {one === null ? "all together" : fieldText(one)}
                </option>
              ))}
            </select>
          </label>
        </div>
        <div class="pair">
          <label>
            Title
            <input
              value={draft.title}
              maxLength={100}
              placeholder="Named by what it shows"
              onInput={(event) => set({ title: event.currentTarget.value })}
            />
          </label>
          <label>
            Width
            <select
              value={draft.width}
              onChange={(event) => set({ width: Number(event.currentTarget.value) as TileWidth })}
            >
              {WIDTHS.map((width) => (
                <option key={width} value={width}>
                  {["A quarter", "Half", "Three quarters", "All of it"][width - 1]}
                </option>
              ))}
            </select>
          </label>
        </div>
        {wrong && (
          <p class="notice" role="alert">
            {wrong}
          </p>
        )}
        <button type="submit" class="primary" disabled={isAsking}>
          {tile ? "Change it" : "Add it"}
        </button>
      </form>
    </dialog>
  );
}

function whyNot(problem: Problem): string {
  if (problem.status === 403) {
    return "This token may not have more counted: that needs the scope admin, because it costs work for every event. What is counted already can be shown.";
  }
  const parameter = problem.document?.parameter;
  return `${problem.title}${typeof parameter === "string" ? ` (${parameter})` : ""}. ${problem.detail ?? ""}`;
}

interface Choices {
  readonly views: readonly View[];
  by(view: View): readonly (string | null)[];
}

function choicesOfMetric(metric: string, known: readonly Definition[]): Choices {
  const definition = known.find(({ id }) => id === metric);
  if (definition) return choicesOf(definition.measure, fieldsOf(definition));
  const isList = (view: View) => view === "list";
  if (metric !== "events") return { views: ["figure", "chart"], by: () => [null] };
  return {
    views: ["figure", "chart", "list"],
    by: (view) => (isList(view) ? DIMENSIONS : view === "chart" ? [null, ...DIMENSIONS] : [null]),
  };
}

function choicesOf(measure: Definition["measure"], fields: readonly string[]): Choices {
  if (measure === "funnel") return { views: ["funnel", "chart"], by: () => [null] };
  const addsUp = measure === "count" || measure === "sum";
  if (fields.length === 0) return { views: ["figure", "chart"], by: () => [null] };
  return {
    views: ["figure", "chart", "list"],
    // What does not add up is told apart by all there is.
    by: (view) => (!addsUp ? [null] : view === "list" ? fields : view === "chart" ? [null, ...fields] : [null]),
  };
}
