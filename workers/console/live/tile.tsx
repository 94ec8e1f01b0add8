/** One tile: its title, what it draws, and why where it cannot. */
import { useState } from "preact/hooks";
import type { DashboardTile, Span } from "../../../durable-objects/dashboards/dashboard.ts";
import type { Problem } from "../shell/problem.ts";
import { Chart } from "./chart.tsx";
import { linesOf, perSecond } from "./chart-data.ts";
import type { Change } from "./corrections.ts";
import { fieldsOf } from "./definitions.ts";
import { Figure } from "./figure.tsx";
import { type Figures, figuresOf, isFunnel, queriesOf } from "./figures.ts";
import { Funnel } from "./funnel.tsx";
import { ranked, total } from "./points.ts";
import type { Source } from "./source.ts";
import { fieldText, sinceText, titleOf } from "./titles.ts";
import { TopList } from "./top-list.tsx";
import type { Definitions } from "./use-definitions.ts";
import type { Live } from "./use-live.ts";
import type { Past } from "./use-past.ts";
import type { Shown } from "./values.ts";

const LIST_ROWS = 8;
const NO_CHANGES: ReadonlyMap<number, readonly Change[]> = new Map();

/** What all tiles of a page share. */
export interface TileContext {
  readonly live: Live;
  /** By the server's clock. */
  readonly now: number;
  readonly span: Span;
  readonly past: Past;
  readonly definitions: Definitions;
  readonly changes: ReadonlyMap<number, readonly Change[]>;
}

export interface TileProps extends TileContext {
  tile: DashboardTile;
  source: Source;
}

export function Tile(props: TileProps & { tools: preact.ComponentChildren }) {
  const { tile, source, span, tools } = props;
  const figures = figuresFor(props);
  const definition = source.kind === "rollup" ? source.definition : null;
  const named = props.definitions.known?.find(({ id }) => id === tile.metric) ?? null;
  const grainMs = figures?.grainMs ?? 60_000;
  const title = titleOf(tile, named, span, grainMs);
  const isLines = figures !== null && shownBy(tile, source, figures).length > 0;
  const hasCorrected = tile.view === "chart" && figures?.points.some(({ version }) => version > 1);
  return (
    <section class={`card tile ${tile.view}-tile`} data-width={tile.width} aria-label={title}>
      <div class="title">
        <h2>{title}</h2>
        {tile.view === "chart" && figures && (
          <p class="legend">
            <span class={isLines ? "swatch line" : "swatch"} /> final{" "}
            <span class={isLines ? "swatch line dashed" : "swatch hatched"} /> provisional
            {hasCorrected && (
              <>
                <span class="mark" /> corrected
              </>
            )}
          </p>
        )}
      </div>
      {figures ? <Body {...props} figures={figures} title={title} /> : <Missing {...props} />}
      {definition && <Filling state={definition.state} progress={definition.progress} />}
      {tools}
    </section>
  );
}

function figuresFor({ source, span, live, past, now }: TileProps): Figures | null {
  if (source.kind !== "core" && source.kind !== "rollup") return null;
  return figuresOf(source, span, live.board, past.answers, now);
}

function Body({
  tile,
  source,
  figures,
  title,
  live,
  now,
  span,
  changes,
}: TileProps & { figures: Figures; title: string }) {
  const unit: Shown = tile.metric === "rate" ? "rate" : figures.unit;
  const by = shownBy(tile, source, figures);
  switch (tile.view) {
    case "figure": {
      const ofThisMoment = source.kind === "core" && source.only === null && span === "60m";
      return (
        <Figure
          figures={figures}
          unit={unit}
          minutes={ofThisMoment ? live.board.minutes : null}
          now={live.now}
          serverNow={now}
        />
      );
    }
    case "chart": {
      const { starts, grainMs } = figures;
      const lines = linesOf(figures, by);
      const isLive = span === "60m" || isFunnel(source);
      const length = starts.length * grainMs;
      const [from, to] = isLive
        ? [now - length + 1.25 * grainMs, now + grainMs / 4]
        : [starts[0]!, starts.at(-1)! + (by.length === 0 ? grainMs : 0)];
      return (
        <Chart
          title={title}
          lines={unit === "rate" ? perSecond(lines, grainMs, now) : lines}
          starts={starts}
          frame={{ grainMs, from, to, unit }}
          by={by}
          unit={unit}
          valueKey={figures.points[0]?.key ?? {}}
          changes={source.kind === "core" && span === "60m" ? changes : NO_CHANGES}
        />
      );
    }
    case "list": {
      const listed = figures.additive
        ? figures.points
        : (figures.whole?.points ?? figures.points.filter(({ start }) => start === figures.starts.at(-1)));
      return (
        <TopList
          values={ranked(listed, by).slice(0, LIST_ROWS)}
          fields={by}
          unit={unit}
          total={figures.additive ? total(listed) : null}
          note={figures.whole && `since ${sinceText(figures.whole.since, figures.grainMs)}`}
        />
      );
    }
    case "funnel":
      if (source.kind !== "rollup" || !source.definition.steps)
        return <p class="quiet">This is no funnel: edit the tile.</p>;
      return <Funnel figures={figures} steps={source.definition.steps} />;
  }
}

/** What a chart or a list tells apart. Values that do not add up are told apart by all there is. */
function shownBy(tile: DashboardTile, source: Source, figures: Figures): readonly string[] {
  const fields = source.kind === "rollup" ? fieldsOf(source.definition) : figures.fields;
  if (isFunnel(source)) return ["step"];
  if (!figures.additive) return fields;
  if (tile.by !== null && fields.includes(tile.by)) return [tile.by];
  return tile.view === "list" ? fields : [];
}

/** Why there are no figures. */
function Missing({ tile, source, span, live, past, definitions }: TileProps) {
  switch (source.kind) {
    case "unknown":
      if (definitions.known === null && !definitions.problem) return <p class="quiet">Loading…</p>;
      return (
        <p class="quiet">
          {definitions.problem
            ? `What it counts could not be asked for: ${definitions.problem.title}.`
            : "What it counted has been deleted. Edit the tile, or remove it."}
        </p>
      );
    case "uncounted":
      return <Uncounted columns={source.columns} onDefine={() => definitions.define(source.wanted)} />;
    case "core":
    case "rollup": {
      const problem = queriesOf(source, span)
        .map(({ key }) => past.problems.get(key))
        .find((found) => found !== undefined);
      if (problem) return <p class="quiet">{problem.title}. It is asked for again in a moment.</p>;
      const refused = source.kind === "rollup" && live.board.refusal(tile.metric);
      if (refused) return <p class="quiet">The live stream does not carry it right now. It is asked for again.</p>;
      return <p class="quiet">Loading…</p>;
    }
  }
}

function Uncounted({
  columns,
  onDefine,
}: {
  columns: readonly string[];
  onDefine(): Promise<{ readonly ok: boolean; readonly error?: Problem }>;
}) {
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isAsking, setAsking] = useState(false);
  const define = async () => {
    setAsking(true);
    const answer = await onDefine();
    setAsking(false);
    setProblem(answer.ok ? null : (answer.error ?? null));
  };
  return (
    <div class="uncounted">
      <p class="quiet">It is not counted by {columns.map(fieldText).join(" and ")} yet.</p>
      {problem ? (
        <p role="alert">
          {problem.status === 403
            ? "This token may not have more counted: that needs the scope admin, because it costs work for every event."
            : `${problem.title}. ${problem.detail ?? ""}`}
        </p>
      ) : (
        <button type="button" disabled={isAsking} onClick={() => void define()}>
          Have it counted
        </button>
      )}
    </div>
  );
}

/** Whether the past of a definition is there yet. */
function Filling({ state, progress }: { state: "filling" | "ready" | "failed"; progress: number | null }) {
  if (state === "ready") return null;
  if (state === "failed") {
    return <p class="filling">Its past could not be filled in. What has come since it was made is right.</p>;
  }
  return (
    <p class="filling" role="status">
      Filling in the past{progress === null ? "…" : `: ${Math.floor(100 * progress)}%`}
      <progress max={1} value={progress ?? undefined} aria-label="Filling in the past" />
    </p>
  );
}
