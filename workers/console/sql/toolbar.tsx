/** What can be done with the statement. */
import { MOD } from "./keys.tsx";
import { SAMPLES } from "./samples.ts";

export interface ToolbarProps {
  isRunning: boolean;
  onRun(): void;
  onCancel(): void;
  onFormat(): void;
  onSave(): void;
  onLink(): void;
  onSample(sql: string): void;
  onKeys(): void;
}

export function Toolbar({ isRunning, onRun, onCancel, onFormat, onSave, onLink, onSample, onKeys }: ToolbarProps) {
  return (
    <div class="tools">
      {isRunning ? (
        <button type="button" class="run" onClick={onCancel}>
          Cancel <kbd>Esc</kbd>
        </button>
      ) : (
        <button
          type="button"
          class="primary run"
          onClick={onRun}
          title="Runs the selection, else the statement under the cursor"
        >
          Run <kbd>{MOD} Enter</kbd>
        </button>
      )}
      <button type="button" onClick={onFormat} title={`${MOD} Shift F`}>
        Format
      </button>
      <button type="button" onClick={onSave} title={`${MOD} S`}>
        Save
      </button>
      <button type="button" onClick={onLink} title="Copies a link that carries the statement">
        Copy link
      </button>
      <label>
        <span class="hidden">Sample statements</span>
        <select
          value=""
          onChange={(event) => {
            const sample = SAMPLES[Number(event.currentTarget.value)];
            event.currentTarget.value = "";
            if (sample) onSample(sample.sql);
          }}
        >
          <option value="">Sample statements…</option>
          {SAMPLES.map(({ title }, index) => (
            <option key={title} value={index}>
              {title}
            </option>
          ))}
        </select>
      </label>
      <button type="button" class="plain keys-button" onClick={onKeys} title="Keyboard shortcuts: ?">
        Keys <kbd>?</kbd>
      </button>
    </div>
  );
}
