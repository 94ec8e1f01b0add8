/** What is to be counted for a tile, where nothing counts it yet: the parts of a rollup definition. */
import { EVENT_COLUMNS } from "../../../r2-layout/event-columns.ts";
import { MEASURES, type Measure } from "./definitions.ts";
import type { RollupDraft } from "./rollup-draft.ts";

const MEASURE_TEXT: Readonly<Record<Measure, string>> = {
  count: "Number of events",
  sum: "Sum of a number",
  ratio: "Ratio of two kinds of events",
  distinct: "Different values (users, orders)",
  funnel: "Funnel of the last hour",
};

export function RollupForm({ draft, onChange }: { draft: RollupDraft; onChange(draft: RollupDraft): void }) {
  const { measure, by } = draft;
  const set = (change: Partial<RollupDraft>) => onChange({ ...draft, ...change });
  return (
    <fieldset class="rollup-form">
      <legend>What is to be counted</legend>
      <p class="quiet">From now on it is counted as events arrive, and the past is filled in once from the log.</p>
      <label>
        Name
        <input
          value={draft.name}
          maxLength={100}
          required
          onInput={(event) => set({ name: event.currentTarget.value })}
        />
      </label>
      <label>
        Measure
        <select value={measure} onChange={(event) => set({ measure: event.currentTarget.value as Measure })}>
          {MEASURES.map((one) => (
            <option key={one} value={one}>
              {MEASURE_TEXT[one]}
            </option>
          ))}
        </select>
      </label>
      {(measure === "sum" || measure === "distinct") && (
        <FieldInput label="Of the column or property" value={draft.field} onInput={(field) => set({ field })} />
      )}
      {measure === "ratio" && (
        <>
          <FilterArea label="Events counted" value={draft.numerator} onInput={(numerator) => set({ numerator })} />
          <FilterArea label="Out of" value={draft.denominator} onInput={(denominator) => set({ denominator })} />
        </>
      )}
      {measure === "funnel" && (
        <label>
          Steps, one event name a line
          <textarea
            rows={4}
            value={draft.steps}
            placeholder={"Product Viewed\nProduct Added\nOrder Completed"}
            onInput={(event) => set({ steps: event.currentTarget.value })}
          />
        </label>
      )}
      <FilterArea label="Only events with" value={draft.filter} onInput={(filter) => set({ filter })} />
      {measure !== "funnel" && (
        <div class="pair">
          <FieldInput label="Told apart by" value={by[0]} onInput={(first) => set({ by: [first, by[1]] })} />
          <FieldInput label="and by" value={by[1]} onInput={(second) => set({ by: [by[0], second] })} />
        </div>
      )}
      {measure !== "funnel" && (
        <label>
          Every
          <select
            value={draft.grain}
            onChange={(event) => set({ grain: Number(event.currentTarget.value) as RollupDraft["grain"] })}
          >
            <option value={1}>minute</option>
            <option value={5}>5 minutes</option>
            <option value={60}>hour</option>
          </select>
        </label>
      )}
      <datalist id="fields">
        {Object.keys(EVENT_COLUMNS).map((name) => (
          <option key={name} value={name} />
        ))}
        <option value="properties." />
      </datalist>
    </fieldset>
  );
}

function FieldInput({ label, value, onInput }: { label: string; value: string; onInput(value: string): void }) {
  return (
    <label>
      {label}
      <input
        list="fields"
        value={value}
        placeholder="country, or properties.plan"
        autocapitalize="off"
        spellcheck={false}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
    </label>
  );
}

function FilterArea({ label, value, onInput }: { label: string; value: string; onInput(value: string): void }) {
  return (
    <label>
      {label}
      <textarea
        rows={2}
        value={value}
        placeholder={"event_name = Order Completed\ncountry = DE, AT"}
        spellcheck={false}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
    </label>
  );
}
