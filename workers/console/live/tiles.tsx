/** The tiles of a dashboard, in their order. */
import type { Dashboard } from "../../../durable-objects/dashboards/dashboard.ts";
import { Empty } from "../shell/states.tsx";
import { withoutTile, withTileMoved } from "./edit.ts";
import type { Source } from "./source.ts";
import { Tile, type TileContext } from "./tile.tsx";
import { TileTools } from "./tile-tools.tsx";
import { titleOf } from "./titles.ts";

export interface TilesProps {
  dashboard: Dashboard;
  /** By the tile's id. */
  sources: ReadonlyMap<string, Source>;
  context: TileContext;
  /** Null while it is not edited. */
  onChange: ((dashboard: Dashboard) => void) | null;
  onEdit(id: string): void;
}

export function Tiles({ dashboard, sources, context, onChange, onEdit }: TilesProps) {
  const { tiles } = dashboard;
  if (tiles.length === 0) {
    return (
      <Empty title="This dashboard has no tiles">
        <p>{onChange ? "Add the first one above." : "Edit it to add some."}</p>
      </Empty>
    );
  }
  return (
    <div class="tiles figures">
      {tiles.map((tile, i) => {
        const source = sources.get(tile.id);
        if (!source) return null;
        const definition = context.definitions.known?.find(({ id }) => id === tile.metric) ?? null;
        const tools = onChange && (
          <TileTools
            title={titleOf(tile, definition, context.span, 60_000)}
            isFirst={i === 0}
            isLast={i === tiles.length - 1}
            onEdit={() => onEdit(tile.id)}
            onMove={(by) => onChange(withTileMoved(dashboard, tile.id, by))}
            onRemove={() => onChange(withoutTile(dashboard, tile.id))}
          />
        );
        return <Tile key={tile.id} tile={tile} source={source} tools={tools} {...context} />;
      })}
    </div>
  );
}
