/** Questions to the lake: a statement, its result, and what it cost. */
import { useEffect, useRef, useState } from "preact/hooks";
import { formatBytes, formatCount } from "../shell/format.ts";
import type { Problem } from "../shell/problem.ts";
import { Empty, Failed } from "../shell/states.tsx";
import { useColumns } from "./columns.ts";
import { toCsv } from "./csv.ts";
import { Editor, type EditorHandle } from "./editor.tsx";
import { ResultTable } from "./result-table.tsx";
import { SAMPLES } from "./samples.ts";
import { Schema } from "./schema.tsx";
import { type FinishedQuery, runStatement } from "./statement.ts";

type Run =
  | { readonly state: "idle" }
  | { readonly state: "running"; readonly started: number }
  | { readonly state: "done"; readonly result: FinishedQuery }
  | { readonly state: "failed"; readonly problem: Problem }
  | { readonly state: "cancelled" };

const DRAFT = "eventpile.console.sql";
const isMac = /Mac|iP(hone|ad)/.test(navigator.platform);

export function SqlPage() {
  const editor = useRef<EditorHandle | null>(null);
  const running = useRef<AbortController | null>(null);
  const [initial] = useState(() => new URLSearchParams(location.search).get("sql") ?? readDraft() ?? SAMPLES[0]!.sql);
  const tables = useColumns();
  const [run, setRun] = useState<Run>({ state: "idle" });

  const start = async () => {
    const text = editor.current?.text().trim() ?? "";
    if (text === "") return;
    running.current?.abort();
    const own = new AbortController();
    running.current = own;
    setRun({ state: "running", started: performance.now() });
    const answer = await runStatement(text, own.signal);
    if (running.current !== own || answer === null) return;
    setRun(answer.ok ? { state: "done", result: answer.value } : { state: "failed", problem: answer.error });
  };
  const cancel = () => {
    running.current?.abort();
    setRun({ state: "cancelled" });
  };
  useEffect(() => () => running.current?.abort(), []);

  return (
    <>
      <h1 class="hidden">SQL</h1>
      <div class="workbench">
        <div>
          <section class="card statement" aria-label="Statement">
            <Editor
              initial={initial}
              tables={tables}
              onRun={start}
              onChange={writeDraft}
              onReady={(handle) => {
                editor.current = handle;
              }}
            />
            <div class="tools">
              {run.state === "running" ? (
                <button type="button" onClick={cancel}>
                  Cancel
                </button>
              ) : (
                <button type="button" class="primary" onClick={start}>
                  Run <kbd>{isMac ? "⌘" : "Ctrl"} Enter</kbd>
                </button>
              )}
              <label>
                <span class="hidden">Sample statements</span>
                <select
                  value=""
                  onChange={(event) => {
                    const sample = SAMPLES[Number(event.currentTarget.value)];
                    event.currentTarget.value = "";
                    if (sample) editor.current?.setText(sample.sql);
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
            </div>
          </section>
          <Outcome run={run} retry={start} />
        </div>
        <Schema tables={tables} onInsert={(text) => editor.current?.insert(text)} />
      </div>
    </>
  );
}

function Outcome({ run, retry }: { run: Run; retry(): void }) {
  switch (run.state) {
    case "idle":
      return (
        <Empty title="Ask the lake">
          <p>One read-only SELECT in DuckDB's SQL. New events are here within 15 seconds.</p>
          <p class="quiet">A range of event_time keeps a statement fast: it reads only the files that can matter.</p>
        </Empty>
      );
    case "running":
      return <Running started={run.started} />;
    case "cancelled":
      return <Empty title="Cancelled" />;
    case "failed":
      return <Failed problem={run.problem} scope="sql" retry={run.problem.status >= 500 ? retry : undefined} />;
    case "done":
      return <Result result={run.result} />;
  }
}

function Running({ started }: { started: number }) {
  const [now, setNow] = useState(performance.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), 100);
    return () => clearInterval(timer);
  }, []);
  return (
    <div class="state" role="status">
      <span class="spinner" aria-hidden="true" />
      <p aria-hidden="true">Running… {((now - started) / 1_000).toFixed(1)} s</p>
      <p class="hidden">Running</p>
    </div>
  );
}

function Result({ result }: { result: FinishedQuery }) {
  const { rows, stats, tookMs } = result;
  const facts = [
    `${formatCount(rows.length)} ${rows.length === 1 ? "row" : "rows"}`,
    `${(tookMs / 1_000).toFixed(tookMs < 1_000 ? 3 : 2)} s`,
    `${formatBytes(stats.bytes_read)} read`,
    `${formatCount(stats.files)} of ${formatCount(stats.table_files)} ${stats.table_files === 1 ? "file" : "files"}`,
  ];
  return (
    <section class="card outcome" aria-label="Result of the statement">
      <div class="title">
        <p role="status" title={`${Math.round(stats.elapsed_ms)} ms of it on the server`}>
          {facts.join(" · ")}
        </p>
        {rows.length > 0 && (
          <button type="button" onClick={() => download(result)}>
            Download CSV
          </button>
        )}
      </div>
      {rows.length === 0 ? (
        <Empty title="No rows">
          <p>The statement ran, and nothing matched. A wider time range may find more.</p>
        </Empty>
      ) : (
        <ResultTable columns={result.columns} rows={rows} />
      )}
    </section>
  );
}

function download(result: FinishedQuery): void {
  const url = URL.createObjectURL(new Blob([toCsv(result)], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `eventpile-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.csv`;
  link.click();
  // Not at once: the browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

function readDraft(): string | null {
  try {
    return localStorage.getItem(DRAFT) || null;
  } catch {
    return null;
  }
}

function writeDraft(text: string): void {
  try {
    localStorage.setItem(DRAFT, text);
  } catch {
    // Blocked or full: the draft lives as long as the page.
  }
}
