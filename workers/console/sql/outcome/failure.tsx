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
  readonly estimate?: Named;
  readonly limit?: Named;
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

const FIGURES: readonly { key: string; name: string; format(value: number): string; bound?: string }[] = [
  { key: "files", name: "Files", format: formatCount, bound: "files" },
  { key: "row_groups", name: "Row groups", format: formatCount },
  // Column chunks are what is bounded; footers and what lies between are read beside them.
  { key: "scan_bytes", name: "Bytes of columns", format: formatBytes, bound: "bytes" },
  { key: "bytes", name: "Bytes read", format: formatBytes },
  { key: "requests", name: "Reads of storage", format: formatCount, bound: "requests" },
  { key: "dollars", name: "Price", format: formatDollars },
];

type Named = Readonly<Record<string, number>>;

function Figures({ estimate, limit }: { estimate: Named; limit: Named }) {
  return (
    <dl class="facts">
      {FIGURES.map(({ key, name, format, bound }) => {
        const value = estimate[key];
        const most = bound && limit[bound];
        if (value === undefined) return null;
        return (
          <div key={key}>
            <dt>{name}</dt>
            <dd>
              {format(value)}
              {typeof most === "number" && (
                <span class={value > most ? "over" : "quiet"}> of {format(most)} at most</span>
              )}
            </dd>
          </div>
        );
      })}
    </dl>
  );
}
