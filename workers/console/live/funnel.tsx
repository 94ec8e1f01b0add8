/** How many users of the last hour came how far, in order. */
import { formatCount, formatShare } from "../shell/format.ts";
import type { Figures } from "./figures.ts";

export function Funnel({ figures, steps }: { figures: Figures; steps: readonly string[] }) {
  const newest = Math.max(...figures.points.map(({ start }) => start));
  const counts = new Map(
    figures.points.filter(({ start }) => start === newest).map(({ key, value }) => [key.step, value ?? 0]),
  );
  const first = counts.get(steps[0]!) ?? 0;
  if (first === 0) return <p class="quiet">Nobody has taken the first step in the last hour.</p>;
  return (
    <ol class="funnel">
      {steps.map((step, i) => {
        const users = counts.get(step) ?? 0;
        const before = i === 0 ? users : (counts.get(steps[i - 1]!) ?? 0);
        return (
          <li key={step} style={{ "--share": `${(100 * users) / first}%` }}>
            <span class="value" title={step}>
              {step}
            </span>
            <span class="number">{formatCount(users)}</span>
            <span class="number quiet">{formatShare(users / first)}</span>
            {i > 0 && before > users && (
              <span class="lost quiet">
                {formatCount(before - users)} ({formatShare((before - users) / before)}) went no further
              </span>
            )}
          </li>
        );
      })}
    </ol>
  );
}
