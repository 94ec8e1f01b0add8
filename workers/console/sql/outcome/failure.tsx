/** What went wrong with a statement, where in it, and what could be done instead. */
import { formatBytes, formatCount } from "../../shell/format.ts";
import type { Problem } from "../../shell/problem.ts";
import { Failed } from "../../shell/states.tsx";
import { formatDollars } from "../cost.ts";
import { CopyButton } from "./copy-button.tsx";

export interface FailureProps {
  problem: Problem;
  /** Of the whole text in the editor. */
  place: { readonly line: number; readonly column: number } | null;
  onShow(): void;
  onUse(sql: string): void;
  retry?: () => void;
}

/** The part of a refusal that says what to do instead; each is absent where it makes no sense. */
interface Instead {
  readonly estimate?: Readonly<Record<string, number>>;
  readonly limit?: Readonly<Record<string, number>>;
  readonly narrower?: { readonly condition?: string; readonly sql?: string } | null;
  readonly elsewhere?: Readonly<Record<string, string>>;
}

export function Failure({ problem, place, onShow, onUse, retry }: FailureProps) {
  const { estimate, limit, narrower, elsewhere } = (problem.document ?? {}) as Instead;
  return (
    <section class={place ? "card failure placed" : "card failure"} aria-label="What went wrong">
      <Failed problem={place ? withoutCaret(problem) : problem} scope="sql" retry={retry} />
      {place && (
        <p class="actions">
          <button type="button" onClick={onShow}>
            Go to line {place.line}, column {place.column}
          </button>
        </p>
      )}
      {isRecord(estimate) && <Figures estimate={estimate} limit={isRecord(limit) ? limit : {}} />}
      {narrower?.condition && (
        <div class="instead">
          <h4>A range that fits</h4>
          <pre>{narrower.condition}</pre>
          <p class="actions">
            {narrower.sql && (
              <button type="button" class="primary" onClick={() => onUse(narrower.sql!)}>
                Put it into the statement
              </button>
            )}
            <CopyButton text={narrower.condition} label="Copy the condition" />
          </p>
        </div>
      )}
      {isRecord(elsewhere) && (
        <div class="instead">
          <h4>The same question for a larger engine</h4>
          {Object.entries(elsewhere).map(([engine, text]) => (
            <details key={engine}>
              <summary>{ENGINES[engine] ?? engine}</summary>
              <pre>{text}</pre>
              <CopyButton text={text} label="Copy" />
            </details>
          ))}
        </div>
      )}
    </section>
  );
}

/** The editor marks the place: the line with a caret under it says no more, and is cut on a narrow screen. */
const withoutCaret = (problem: Problem): Problem => ({
  ...problem,
  detail: problem.detail?.replace(/\nLINE \d+: [\s\S]*$/, ""),
});

const isRecord = (value: unknown): value is Readonly<Record<string, never>> =>
  typeof value === "object" && value !== null && Object.keys(value).length > 0;

const ENGINES: Readonly<Record<string, string>> = { spark: "Spark", trino: "Trino", duckdb: "DuckDB" };

function Figures({
  estimate,
  limit,
}: {
  estimate: Readonly<Record<string, number>>;
  limit: Readonly<Record<string, number>>;
}) {
  return (
    <dl class="facts">
      {Object.entries(estimate).map(([name, value]) => (
        <div key={name}>
          <dt>{name.replaceAll("_", " ")}</dt>
          <dd>
            {figure(name, value)}
            {limit[name] !== undefined && <span class="quiet"> of {figure(name, limit[name])} at most</span>}
          </dd>
        </div>
      ))}
    </dl>
  );
}

function figure(name: string, value: number): string {
  if (name === "bytes") return formatBytes(value);
  return name === "dollars" ? formatDollars(value) : formatCount(value);
}
