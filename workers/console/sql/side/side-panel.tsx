/** Beside the statement: the tables' columns, what was run here, and what was saved. */
import type { Columns } from "./columns.ts";
import { HistoryList } from "./history-list.tsx";
import { SavedList } from "./saved-list.tsx";
import { Schema } from "./schema.tsx";

export const PANELS = ["columns", "history", "saved"] as const;
export type Panel = (typeof PANELS)[number];
const PANEL_NAMES: Readonly<Record<Panel, string>> = { columns: "Columns", history: "History", saved: "Saved" };

export interface SidePanelProps {
  panel: Panel;
  onPanel(panel: Panel): void;
  tables: Columns;
  onInsert(text: string): void;
  onUse(sql: string): void;
  /** The statement that would be saved. */
  current(): string;
}

export function SidePanel({ panel, onPanel, tables, onInsert, onUse, current }: SidePanelProps) {
  return (
    <aside class="card side" aria-label="Columns, history and saved statements">
      <fieldset class="choice">
        <legend class="hidden">Beside the statement</legend>
        {PANELS.map((name) => (
          <label key={name}>
            <input type="radio" name="panel" checked={panel === name} onChange={() => onPanel(name)} />
            {PANEL_NAMES[name]}
          </label>
        ))}
      </fieldset>
      {panel === "columns" && <Schema tables={tables} onInsert={onInsert} />}
      {panel === "history" && <HistoryList onUse={onUse} />}
      {panel === "saved" && <SavedList onUse={onUse} current={current} />}
    </aside>
  );
}
