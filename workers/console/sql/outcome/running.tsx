/** While a statement runs: how long it has, and how far it has come. */
import { useEffect, useState } from "preact/hooks";
import { formatBytes } from "../../shell/format.ts";
import type { Progress } from "../statement.ts";

export interface RunningProps {
  startedAt: number;
  progress: Progress | null;
  onCancel(): void;
}

export function Running({ startedAt, progress, onCancel }: RunningProps) {
  const [now, setNow] = useState(performance.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), 100);
    return () => clearInterval(timer);
  }, []);
  const queued = progress?.state === "queued";
  const planned = progress?.bytes_planned ?? 0;
  const come = Math.min(planned, Math.max(progress?.bytes_scanned ?? 0, progress?.bytes_read ?? 0));
  return (
    <section class="card outcome running" aria-label="Statement under way">
      {/* Said once: a screen reader is not told every tenth of a second. */}
      <p class="hidden" role="status">
        {queued ? "Waiting for an engine" : "Running"}
      </p>
      <div class="title">
        <p aria-hidden="true">
          <strong>{queued ? "Waiting for an engine" : "Running"}</strong> {((now - startedAt) / 1_000).toFixed(1)} s
          {!queued && planned > 0 && ` · ${formatBytes(come)} of ${formatBytes(planned)}`}
        </p>
        <button type="button" onClick={onCancel}>
          Cancel <kbd>Esc</kbd>
        </button>
      </div>
      <progress
        aria-label="Bytes read"
        max={Math.max(1, planned)}
        // Without a value the bar moves without saying how far.
        value={!queued && planned > 0 ? come : undefined}
      />
      <div class="skeleton" aria-hidden="true" />
    </section>
  );
}
