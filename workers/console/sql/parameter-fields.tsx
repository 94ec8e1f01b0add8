/** A field for each `$name` of the statement. */
import type { LinkedStatement } from "./link.ts";
import { parameterValue, valueKind } from "./parameter-values.ts";

export interface ParameterFieldsProps {
  names: readonly string[];
  written: LinkedStatement["parameters"];
  onWritten(name: string, text: string): void;
  onRun(): void;
}

export function ParameterFields({ names, written, onWritten, onRun }: ParameterFieldsProps) {
  if (names.length === 0) return null;
  return (
    <fieldset class="parameters">
      <legend class="hidden">Parameters</legend>
      {names.map((name) => {
        const text = written[name] ?? "";
        return (
          <label key={name}>
            <span>
              <code>${name}</code> <span class="quiet">{valueKind(parameterValue(text))}</span>
            </span>
            <input
              value={text}
              title={`A number, true, false, null or a list such as ["a", "b"] is what it looks like; 'quotes' make it text`}
              autocomplete="off"
              onInput={(event) => onWritten(name, event.currentTarget.value)}
              onKeyDown={(event) => {
                if (event.key === "Enter" && !event.ctrlKey && !event.metaKey && !event.isComposing) onRun();
              }}
            />
          </label>
        );
      })}
    </fieldset>
  );
}
