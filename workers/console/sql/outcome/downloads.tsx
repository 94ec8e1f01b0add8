/** The answer as a file. */
import { useState } from "preact/hooks";
import { formatBytes } from "../../shell/format.ts";
import type { FinishedQuery } from "../statement.ts";
import type { Asked } from "../use-run.ts";
import { SERVER_FORMATS, type ServerFormat, saveCsv, saveFromServer } from "./download.ts";

export interface DownloadsProps {
  asked: Asked;
  result: FinishedQuery;
  /** Told how it went. */
  onSaid(message: string): void;
}

export function Downloads({ asked, result, onSaid }: DownloadsProps) {
  const [busy, setBusy] = useState(false);
  const isWhole = result.stats.truncated !== true;
  const fetchFile = async (format: ServerFormat) => {
    const { label } = SERVER_FORMATS[format];
    setBusy(true);
    onSaid(`Fetching ${label}…`);
    const { from: _, ...question } = asked;
    const answer = await saveFromServer(question, format);
    setBusy(false);
    onSaid(
      answer.ok
        ? `${label} saved, ${formatBytes(answer.value)}`
        : `${label} failed: ${answer.error.detail ?? answer.error.title}`,
    );
  };
  return (
    <label class="download">
      <span class="hidden">Download</span>
      <select
        value=""
        disabled={busy}
        onChange={(event) => {
          const { value } = event.currentTarget;
          event.currentTarget.value = "";
          if (value === "csv" && isWhole) {
            saveCsv(result);
            onSaid("CSV saved");
          } else if (value !== "") void fetchFile(value as ServerFormat);
        }}
      >
        <option value="">Download…</option>
        {Object.entries(SERVER_FORMATS).map(([format, { label }]) => (
          <option key={format} value={format}>
            {format === "csv" && isWhole ? label : `${label}, runs it again`}
          </option>
        ))}
      </select>
    </label>
  );
}
