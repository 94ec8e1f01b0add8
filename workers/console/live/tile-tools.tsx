/** What can be done with a tile while its dashboard is edited. */
export interface TileToolsProps {
  title: string;
  isFirst: boolean;
  isLast: boolean;
  onEdit(): void;
  onMove(by: -1 | 1): void;
  onRemove(): void;
}

export function TileTools({ title, isFirst, isLast, onEdit, onMove, onRemove }: TileToolsProps) {
  return (
    <fieldset class="tile-tools">
      <legend class="hidden">{title}</legend>
      <button type="button" onClick={onEdit}>
        Edit
      </button>
      <button type="button" aria-label="Move it forward" disabled={isFirst} onClick={() => onMove(-1)}>
        ←
      </button>
      <button type="button" aria-label="Move it back" disabled={isLast} onClick={() => onMove(1)}>
        →
      </button>
      <button type="button" onClick={onRemove}>
        Remove
      </button>
    </fieldset>
  );
}
