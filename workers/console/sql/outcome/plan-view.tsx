/** What a statement reads and what it leaves out, table by table, with the price; and, once it ran, what it took. */
import { formatBytes, formatCount, formatShare } from "../../shell/format.ts";
import { Loading } from "../../shell/states.tsx";
import { formatDollars, routeWords } from "../cost.ts";
import type { Explained, ExplainedTable, Pruned, QueryStats } from "../statement.ts";
import { Failure } from "./failure.tsx";
import type { PlanAsked } from "./use-plan.ts";

export interface PlanViewProps {
  plan: PlanAsked;
  /** Of the run beside it. */
  stats: QueryStats | null;
  onUse(sql: string): void;
}

export function PlanView({ plan, stats, onUse }: PlanViewProps) {
  if (plan.state === "asking") return <Loading what="the plan" />;
  if (plan.state === "failed") return <Failure problem={plan.problem} place={null} onShow={() => {}} onUse={onUse} />;
  const { explained } = plan;
  const { tables, pruned } = explained;
  return (
    <div class="plan">
      <PlanFigures explained={explained} />
      {pruned.table_files > 0 && <Pruning pruned={pruned} files={explained.files} />}
      {tables.map((table, index) => (
        <TablePlan key={`${table.table} ${index}`} table={table} />
      ))}
      {tables.length === 0 && <p class="quiet">It names no table, so it reads nothing.</p>}
      {stats && <RunFigures stats={stats} />}
    </div>
  );
}

function PlanFigures({ explained }: { explained: Explained }) {
  const { files, bytes, row_groups: rowGroups, requests, dollars, pruned } = explained;
  const route = routeWords(explained.route);
  const allGroups = rowGroups + pruned.by_filter;
  return (
    <dl class="plan-figures">
      <Figure name="Bytes" value={formatBytes(bytes)} />
      <Figure name="Files" value={`${formatCount(files)} of ${formatCount(pruned.table_files)}`} />
      <Figure
        name="Row groups"
        value={
          allGroups > rowGroups ? `${formatCount(rowGroups)} of ${formatCount(allGroups)}` : formatCount(rowGroups)
        }
      />
      <Figure name="Reads of storage" value={formatCount(requests)} />
      <Figure name="Price" value={formatDollars(dollars)} />
      {route && <Figure name="Answered" value={route} />}
    </dl>
  );
}

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

const STEPS = [
  { key: "by_time", label: "left out by time", style: "by-time" },
  { key: "by_name", label: "left out by event name", style: "by-name" },
  { key: "by_bounds", label: "left out by bounds of columns", style: "by-bounds" },
] as const;

/** All files of the tables, in parts: what was left out for which reason, and what is read. */
function Pruning({ pruned, files }: { pruned: Pruned; files: number }) {
  const all = Math.max(1, pruned.table_files);
  const parts = [
    ...STEPS.map(({ key, label, style }) => ({ label, style, count: pruned[key] })),
    { label: "read", style: "read", count: files },
  ].filter(({ count }) => count > 0);
  return (
    <section class="pruning" aria-label="Files left out">
      <h4>
        {formatCount(pruned.table_files)} {pruned.table_files === 1 ? "file" : "files"} in all
      </h4>
      <div class="pruning-bar" aria-hidden="true">
        {parts.map(({ label, style, count }) => (
          <span
            key={label}
            class={style}
            style={{ flexGrow: String(count) }}
            title={`${formatCount(count)} ${label}`}
          />
        ))}
      </div>
      <ul>
        {parts.map(({ label, style, count }) => (
          <li key={label}>
            <span class={`swatch ${style}`} aria-hidden="true" />
            {formatCount(count)} {label} <span class="quiet">{formatShare(count / all)}</span>
          </li>
        ))}
      </ul>
      {pruned.by_filter > 0 && (
        <p class="quiet">
          Inside the files read, {formatCount(pruned.by_filter)} row{" "}
          {pruned.by_filter === 1 ? "group is" : "groups are"} left out by bounds and filters.
        </p>
      )}
    </section>
  );
}

const FILES_SHOWN = 50;

function TablePlan({ table }: { table: ExplainedTable }) {
  const { columns, from, to, event_names: names, files } = table;
  const rows = files.reduce((sum, file) => sum + file.rows, 0);
  return (
    <section class="table-plan" aria-label={`Plan of ${table.table}`}>
      <h4>
        <code>{table.table}</code>{" "}
        <span class="quiet">
          {formatCount(files.length)} of {formatCount(table.table_files)} files, {formatCount(rows)} rows
        </span>
      </h4>
      <dl class="facts">
        <div>
          <dt>Time</dt>
          <dd>{timeWords(from, to)}</dd>
        </div>
        <div>
          <dt>Event names</dt>
          <dd>{names === null ? "all" : names.join(", ") || "none"}</dd>
        </div>
        <div>
          <dt>Columns</dt>
          <dd>{columns === null ? "all" : columns.join(", ") || "none: rows are counted from the footers"}</dd>
        </div>
      </dl>
      {files.length > 0 && (
        <details>
          <summary>Files</summary>
          <ul class="plan-files">
            {files.slice(0, FILES_SHOWN).map(({ key, bytes, rows }) => (
              <li key={key}>
                <code>{key}</code>
                <span class="quiet">
                  {formatBytes(bytes)}, {formatCount(rows)} rows
                </span>
              </li>
            ))}
          </ul>
          {files.length > FILES_SHOWN && <p class="quiet">and {formatCount(files.length - FILES_SHOWN)} more</p>}
        </details>
      )}
    </section>
  );
}

/** Bounds in microseconds. */
function timeWords(from: number | null, to: number | null): string {
  const text = (us: number) =>
    new Date(us / 1_000)
      .toISOString()
      .replace("T", " ")
      .replace(/\.\d+Z$/, " UTC");
  if (from === null && to === null) return "all: a range of event_time would leave files out";
  if (from === null) return `to ${text(to!)}`;
  return to === null ? `from ${text(from)}` : `${text(from)} to ${text(to)}`;
}

function RunFigures({ stats }: { stats: QueryStats }) {
  const more = stats as unknown as Readonly<Record<string, unknown>>;
  const figures = RUN_FIGURES.flatMap(({ key, name, format }) => {
    const value = more[key];
    return typeof value === "number" ? [<Figure key={key} name={name} value={format(value)} />] : [];
  });
  return (
    <section aria-label="What the run took">
      <h4>What the run took</h4>
      <dl class="plan-figures small">{figures}</dl>
    </section>
  );
}

const ms = (value: number): string => `${formatCount(Math.round(value))} ms`;

const RUN_FIGURES: readonly { key: string; name: string; format: (value: number) => string }[] = [
  { key: "elapsed_ms", name: "On the server", format: ms },
  { key: "wait_ms", name: "Waited", format: ms },
  { key: "engine_ms", name: "In the engine", format: ms },
  { key: "bytes_read", name: "Read from storage", format: formatBytes },
  { key: "bytes_needed", name: "Needed", format: formatBytes },
  { key: "requests", name: "Reads", format: formatCount },
  { key: "waves", name: "One after another", format: formatCount },
  { key: "fallback_reads", name: "Missed reads", format: formatCount },
  { key: "dollars", name: "Price", format: formatDollars },
];
