/** Below the statement: its rows, a chart of them, or its plan; while it runs how far it has come. */
import { useEffect, useRef, useState } from "preact/hooks";
import { formatBytes, formatCount, formatDuration } from "../../shell/format.ts";
import { Empty } from "../../shell/states.tsx";
import { ChartView } from "../chart/chart-view.tsx";
import { formatDollars, routeWords } from "../cost.ts";
import { type GridHandle, ResultGrid } from "../grid/result-grid.tsx";
import type { FinishedQuery } from "../statement.ts";
import type { Asked, Run } from "../use-run.ts";
import { Downloads } from "./downloads.tsx";
import { Failure } from "./failure.tsx";
import { PlanView } from "./plan-view.tsx";
import { Running } from "./running.tsx";
import { type PlanAsked, usePlan } from "./use-plan.ts";

export const TABS = ["rows", "chart", "plan"] as const;
export type Tab = (typeof TABS)[number];
const TAB_NAMES: Readonly<Record<Tab, string>> = { rows: "Rows", chart: "Chart", plan: "Plan" };

export interface OutcomeProps {
  run: Run;
  /** Whose plan is looked at, where it is not the run's. */
  planned: Asked | null;
  tab: Tab;
  onTab(tab: Tab): void;
  /** Of a failure, in the editor's text as it is now. */
  place: { readonly line: number; readonly column: number } | null;
  onShowPlace(): void;
  onUse(sql: string): void;
  onRetry(): void;
  onCancel(): void;
  onGrid(handle: GridHandle): void;
}

export function Outcome(props: OutcomeProps) {
  const { run, planned, tab } = props;
  const asked = planned ?? (run.state === "idle" ? null : run.asked);
  const looksAtPlan = tab === "plan" && asked !== null && run.state !== "running";
  const plan = usePlan(looksAtPlan ? { sql: asked.sql, ...(asked.params && { params: asked.params }) } : null);
  if (run.state === "running") {
    return <Running startedAt={run.startedAt} progress={run.progress} onCancel={props.onCancel} />;
  }
  if (looksAtPlan && (planned !== null || run.state !== "done")) {
    return (
      <section class="card outcome" aria-label="Plan of the statement">
        <div class="title">
          <h3>Plan, without running it</h3>
          {run.state !== "idle" && (
            <button type="button" onClick={() => props.onTab("rows")}>
              Back
            </button>
          )}
        </div>
        <div class="outcome-body">
          <PlanView plan={plan} stats={null} onUse={props.onUse} />
        </div>
      </section>
    );
  }
  switch (run.state) {
    case "idle":
      return (
        <Empty title="Ask the lake">
          <p>One read-only SELECT in DuckDB's SQL. New events are here within 15 seconds.</p>
          <p class="quiet">A range of event_time keeps a statement fast: it reads only the files that can matter.</p>
        </Empty>
      );
    case "cancelled":
      return (
        <Empty title="Cancelled">
          <p role="status">After {(run.tookMs / 1_000).toFixed(1)} s. The engine has been let go.</p>
          <p class="actions">
            <button type="button" onClick={props.onRetry}>
              Run it again
            </button>
          </p>
        </Empty>
      );
    case "failed":
      return (
        <Failure
          problem={run.problem}
          place={props.place}
          onShow={props.onShowPlace}
          onUse={props.onUse}
          retry={run.problem.status >= 500 || run.problem.status === 0 ? props.onRetry : undefined}
        />
      );
    case "done":
      return <Answered {...props} asked={run.asked} result={run.result} plan={plan} />;
  }
}

function Answered(props: OutcomeProps & { asked: Asked; result: FinishedQuery; plan: PlanAsked }) {
  const { asked, result, plan, tab, onGrid } = props;
  const grid = useRef<GridHandle | null>(null);
  const [said, setSaid] = useState("");
  useEffect(() => setSaid(""), [result]);
  return (
    <section class="card outcome" aria-label="Result of the statement">
      <div class="title">
        <Facts result={result} />
        {result.rows.length > 0 && (
          <div class="outcome-tools">
            <Tabs {...props} />
            {tab === "rows" && (
              <button
                type="button"
                onClick={() => grid.current?.copy()}
                title="The chosen cells, or all, with their columns' names"
              >
                Copy
              </button>
            )}
            <Downloads asked={asked} result={result} onSaid={setSaid} />
          </div>
        )}
        {result.rows.length === 0 && <Tabs {...props} />}
      </div>
      <p class={said ? "said" : "hidden"} role="status">
        {said}
      </p>
      {tab === "plan" ? (
        <div class="outcome-body">
          <PlanView plan={plan} stats={result.stats} onUse={props.onUse} />
        </div>
      ) : result.rows.length === 0 ? (
        <Empty title="No rows">
          <p>The statement ran, and nothing matched. A wider time range may find more.</p>
        </Empty>
      ) : tab === "chart" ? (
        <div class="outcome-body">
          <ChartView answer={result} />
        </div>
      ) : (
        <ResultGrid
          columns={result.columns}
          rows={result.rows}
          onCopied={setSaid}
          onReady={(handle) => {
            grid.current = handle;
            onGrid(handle);
          }}
        />
      )}
    </section>
  );
}

function Tabs({ tab, onTab }: Pick<OutcomeProps, "tab" | "onTab">) {
  return (
    <fieldset class="choice">
      <legend class="hidden">Show the answer as</legend>
      {TABS.map((name) => (
        <label key={name}>
          <input type="radio" name="tab" checked={tab === name} onChange={() => onTab(name)} />
          {TAB_NAMES[name]}
        </label>
      ))}
    </fieldset>
  );
}

function Facts({ result }: { result: FinishedQuery }) {
  const { rows, stats, tookMs } = result;
  const facts = [
    stats.truncated
      ? `the first ${formatCount(rows.length)} rows`
      : `${formatCount(rows.length)} ${rows.length === 1 ? "row" : "rows"}`,
    `${(tookMs / 1_000).toFixed(tookMs < 1_000 ? 3 : 2)} s`,
  ];
  if (stats.table_files > 0) {
    facts.push(`${formatBytes(stats.bytes_read)} read`);
    facts.push(
      `${formatCount(stats.files)} of ${formatCount(stats.table_files)} ${stats.table_files === 1 ? "file" : "files"}`,
    );
  }
  if (stats.dollars !== undefined) facts.push(formatDollars(stats.dollars));
  const route = routeWords(stats.route);
  if (route) facts.push(stats.age_ms === undefined ? route : `${route}, ${formatDuration(stats.age_ms)} old`);
  return (
    <p class="facts-line" role="status" title={`${Math.round(stats.elapsed_ms)} ms of it on the server`}>
      {facts.join(" · ")}
    </p>
  );
}
