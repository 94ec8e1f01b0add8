/** What a rollup definition counts, in words; and an end to it. */
import { useState } from "preact/hooks";
import type { Problem } from "../shell/problem.ts";
import { type Definition, fieldsOf, type ValueFilter } from "./definitions.ts";
import { fieldText } from "./titles.ts";

export function RollupFacts({ definition, onRemove }: { definition: Definition; onRemove(): Promise<Problem | null> }) {
  const [isSure, setSure] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  return (
    <div class="rollup-facts">
      <p class="quiet">{inWords(definition)}</p>
      {problem ? (
        <p role="alert">
          {problem.status === 403 ? "This token may not end it: that needs the scope admin." : `${problem.title}.`}
        </p>
      ) : (
        <button
          type="button"
          class="plain"
          onClick={async () => (isSure ? setProblem(await onRemove()) : setSure(true))}
        >
          {isSure ? "Really: its figures are gone on every dashboard" : "No longer count it"}
        </button>
      )}
    </div>
  );
}

function inWords(definition: Definition): string {
  const { measure, column, property, numerator = {}, denominator = {}, steps = [], grain_minutes, filter } = definition;
  const field = fieldText(column ?? property ?? "");
  const measured = {
    count: "Events",
    sum: `Sum of ${field}`,
    distinct: `Different values of ${field}`,
    ratio: `${eventsText(numerator)} out of ${eventsText(denominator)}`,
    funnel: steps.join(" → "),
  }[measure];
  const fields = fieldsOf(definition).map(fieldText).join(" and ");
  const only = Object.keys(filter).length > 0 ? `, only ${filterText(filter)}` : "";
  const often = grain_minutes === 1 ? "every minute" : `every ${grain_minutes} minutes`;
  return `${measured}${fields && ` by ${fields}`}${only}, ${measure === "funnel" ? "within an hour" : often}.`;
}

const eventsText = (filter: ValueFilter): string =>
  Object.keys(filter).length === 0 ? "all events" : `events with ${filterText(filter)}`;

const filterText = (filter: ValueFilter): string =>
  Object.entries(filter)
    .map(([field, values]) => `${fieldText(field)} ${values.map((value) => value ?? "(none)").join(" or ")}`)
    .join(" and ");
