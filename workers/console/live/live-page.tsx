/** What is happening right now: a dashboard of tiles, moved by the live websocket. */
import { useEffect, useMemo, useState } from "preact/hooks";
import type { Dashboard, DashboardFilter } from "../../../durable-objects/dashboards/dashboard.ts";
import { Failed, Loading } from "../shell/states.tsx";
import { ChangesStrip } from "./changes-strip.tsx";
import { Badge, isStale, StaleNotice } from "./connection.tsx";
import { withTile } from "./edit.ts";
import { EditBar } from "./edit-bar.tsx";
import { MINUTES_TOPIC, tileTopic } from "./feed.ts";
import { isFunnel, queriesOf } from "./figures.ts";
import { FilterBar } from "./filter-bar.tsx";
import { lastMinutes, MINUTE_MS } from "./minutes.ts";
import { NothingYet } from "./nothing-yet.tsx";
import { type Source, sourceOf } from "./source.ts";
import { TileEditor } from "./tile-editor.tsx";
import { Tiles } from "./tiles.tsx";
import { Toolbar } from "./toolbar.tsx";
import { useAddress } from "./use-address.ts";
import { useCorrections } from "./use-corrections.ts";
import { useDashboard } from "./use-dashboard.ts";
import { useDefinitions } from "./use-definitions.ts";
import { useLive } from "./use-live.ts";
import { usePast } from "./use-past.ts";
import { enterFullScreen, useWall } from "./use-wall.ts";

const NO_FILTER: DashboardFilter = {};

export function LivePage() {
  const [address, go] = useAddress();
  const definitions = useDefinitions();
  const [draft, setDraft] = useState<Dashboard | null>(null);
  const state = useDashboard(address.dashboard, draft !== null);
  const [edited, setEdited] = useState<string | null>(null);
  const [isFiltering, setFiltering] = useState(false);

  const dashboard = draft ?? state.saved?.dashboard ?? null;
  const span = draft?.span ?? address.span ?? dashboard?.span ?? "60m";
  const filter = draft?.filter ?? address.filter ?? dashboard?.filter ?? NO_FILTER;
  const sources = useMemo(
    () => new Map(dashboard?.tiles.map((tile) => [tile.id, sourceOf(tile, filter, definitions.known ?? [])])),
    [dashboard, filter, definitions.known],
  );
  const shown = [...sources.values()];
  const followed = span === "60m" ? shown : shown.filter(isFunnel);
  const live = useLive([MINUTES_TOPIC, ...new Set(followed.flatMap(topicsOf))]);
  const past = usePast(shown.flatMap((source) => queriesOf(source, span)));

  const { minutes } = live.board;
  const now = live.now + (minutes?.clockOffset ?? 0);
  const minute = Math.floor(now / MINUTE_MS);
  const places = useMemo(() => (minutes ? lastMinutes(minutes, live.now) : []), [minutes, minute]);
  const corrections = useCorrections(places);
  const isWall = address.wall && !draft;
  useWall(isWall, () => go({ wall: false }));
  const stale = isStale(live);
  const name = dashboard?.name ?? "Live";
  useEffect(() => {
    document.title = `${stale ? "⚠ Not live: " : ""}${name} · eventpile`;
  }, [stale, name]);

  if (live.link.state === "refused") return <Failed problem={live.link.problem} scope="live" />;
  if (state.problem && !dashboard) {
    const isGone = state.problem.status === 404;
    const problem = isGone
      ? { ...state.problem, title: "There is no such dashboard", detail: "It may have been deleted." }
      : state.problem;
    return (
      <div>
        <Failed problem={problem} scope="live" retry={isGone ? undefined : state.reload} />
        <p class="centred">
          <a href="/live">To the overview</a>
        </p>
      </div>
    );
  }
  if (!minutes || !dashboard) {
    return (
      <div>
        <StaleNotice live={live} />
        <Loading what="the last hour" />
      </div>
    );
  }

  const hasNothing = span === "60m" && !draft && !isWall && places.every((place) => place.minute === null);
  const done = (id: string) => {
    setDraft(null);
    go({ dashboard: id, span: null, filter: null });
  };
  return (
    <div class={`dashboard${isWall ? " wall" : ""}${stale ? " is-stale" : ""}`}>
      <div class="title">
        <h1>{isWall || dashboard.name !== "Overview" ? dashboard.name : "Live"}</h1>
        <div class="said">
          <Badge live={live} />
          {isWall && (
            <button type="button" class="plain" onClick={() => go({ wall: false })}>
              Leave
            </button>
          )}
        </div>
      </div>
      {!isWall && (
        <Toolbar
          id={address.dashboard}
          name={dashboard.name}
          list={state.list}
          span={span}
          isFiltering={isFiltering}
          onDashboard={(id) => done(id)}
          onSpan={(chosen) => (draft ? setDraft({ ...draft, span: chosen }) : go({ span: chosen }))}
          onFilter={() => setFiltering(!isFiltering)}
          onEdit={() => setDraft(draft ?? { ...dashboard, span, filter })}
          onWall={() => {
            enterFullScreen();
            setDraft(null);
            go({ wall: true });
          }}
        />
      )}
      {!isWall && (isFiltering || Object.keys(filter).length > 0) && (
        <FilterBar
          filter={filter}
          state={minutes}
          onChange={(chosen) => (draft ? setDraft({ ...draft, filter: chosen }) : go({ filter: chosen }))}
        />
      )}
      {draft && (
        <EditBar
          id={address.dashboard}
          draft={draft}
          state={state}
          onName={(chosen) => setDraft({ ...draft, name: chosen })}
          onAdd={() => setEdited("")}
          onDone={done}
        />
      )}
      <StaleNotice live={live} />
      <ChangesStrip corrections={corrections} corrected={live.board.corrected} definitions={definitions.known ?? []} />
      {hasNothing ? (
        <NothingYet />
      ) : (
        <Tiles
          dashboard={dashboard}
          sources={sources}
          context={{ live, now, span, past, definitions, changes: corrections }}
          onChange={draft && setDraft}
          onEdit={setEdited}
        />
      )}
      {draft && edited !== null && (
        <TileEditor
          key={edited}
          tile={draft.tiles.find(({ id }) => id === edited) ?? null}
          definitions={definitions}
          onDone={(tile) => {
            setDraft(withTile(draft, tile));
            setEdited(null);
          }}
          onClose={() => setEdited(null)}
        />
      )}
    </div>
  );
}

const topicsOf = (source: Source): string[] => (source.kind === "rollup" ? [tileTopic(source.definition.id)] : []);
