/** What was corrected within the last hour, newest first: told as it arrives, also to those who do not see the charts. */
import type { Corrected } from "./board.ts";
import { type Corrections, changeText } from "./corrections.ts";
import type { Definition } from "./definitions.ts";
import { unitOfDefinition } from "./figures.ts";
import { keyText } from "./points.ts";
import { rangeText } from "./titles.ts";
import { labelText, valueText } from "./values.ts";

const SHOWN = 3;

export interface ChangesStripProps {
  /** Of the minutes. */
  corrections: Corrections;
  /** Of tiles. */
  corrected: readonly Corrected[];
  definitions: readonly Definition[];
}

export function ChangesStrip({ corrections, corrected, definitions }: ChangesStripProps) {
  const ofMinutes = [...corrections].flatMap(([start, changes]) =>
    changes.map((change) => ({
      at: Date.parse(change.at),
      text: `${rangeText(start, 60_000)}: ${changeText(change)}`,
    })),
  );
  const ofTiles = corrected.flatMap((one) => {
    const definition = definitions.find(({ id }) => id === one.tile);
    return definition ? [{ at: one.at, text: correctedText(one, definition) }] : [];
  });
  const changes = [...ofMinutes, ...ofTiles].sort((one, other) => other.at - one.at).slice(0, SHOWN);
  return (
    <div class="changes" aria-live="polite">
      {changes.length > 0 && (
        <>
          <span class="mark" aria-hidden="true" />
          <strong>Corrected</strong>
          <ul>
            {changes.map(({ at, text }) => (
              <li key={`${at} ${text}`}>{text}</li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}

/** `22:03 – 22:04: Plans, free, 1 instead of 0`. */
function correctedText({ start, key, before, after }: Corrected, definition: Definition): string {
  const fields = Object.keys(key);
  const label = fields.length > 0 ? `, ${labelText(keyText(key, fields), fields)}` : "";
  const value = (of: number | null) => valueText(unitOfDefinition(definition), of ?? 0, key);
  const when = rangeText(start, definition.grain_minutes * 60_000);
  return `${when}: ${definition.name}${label}, ${value(after)} instead of ${value(before)}`;
}
