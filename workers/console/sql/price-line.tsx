/** What the statement would read and cost, under the editor: quiet, and never in the way of running it. */
import { formatBytes, formatCount } from "../shell/format.ts";
import { formatDollars, routeWords } from "./cost.ts";
import type { Explained } from "./statement.ts";
import type { Price } from "./use-price.ts";

export function PriceLine({ price, onPlan }: { price: Price; onPlan(): void }) {
  return (
    <p class={price.state === "asking" ? "price asking" : "price"} aria-live="off">
      <PriceWords price={price} />
      {price.state === "known" && (
        <button type="button" class="plain" onClick={onPlan}>
          Plan
        </button>
      )}
    </p>
  );
}

function PriceWords({ price }: { price: Price }) {
  switch (price.state) {
    case "none":
      return <span class="quiet">No statement yet</span>;
    case "asking":
      return <span class="quiet">{price.last ? costWords(price.last) : "Estimating…"}</span>;
    case "known":
      return <span>{costWords(price.explained)}</span>;
    case "unknown": {
      const { title, detail, reason } = price.problem;
      const words = (detail ?? title).split("\n")[0]!;
      return (
        <span class="quiet" title={detail}>
          {reason === "sql_error" ? `Not a whole statement yet: ${words}` : words}
        </span>
      );
    }
  }
}

function costWords({ files, bytes, row_groups: rowGroups, dollars, pruned, route: place }: Explained): string {
  const route = routeWords(place);
  if (pruned.table_files === 0) return route ? `Answered ${route}` : "Reads nothing from storage";
  const words = [
    `Reads up to ${formatBytes(bytes)}`,
    `${formatCount(files)} of ${formatCount(pruned.table_files)} ${pruned.table_files === 1 ? "file" : "files"}`,
    `${formatCount(rowGroups)} row ${rowGroups === 1 ? "group" : "groups"}`,
    formatDollars(dollars),
  ];
  if (route) words.push(route);
  return words.join(" · ");
}
