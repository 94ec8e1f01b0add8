/** What the statement would read and cost, under the editor: quiet, and never in the way of running it. */
import { formatBytes, formatCount } from "../shell/format.ts";
import { costOf, formatDollars, routeWords } from "./cost.ts";
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

function costWords(explained: Explained): string {
  const { files, tableFiles, bytes, rowGroups, dollars } = costOf(explained);
  if (tableFiles === 0 && files === 0 && bytes === 0) return "Reads nothing from storage";
  const words = [
    `Reads up to ${formatBytes(bytes)}`,
    `${formatCount(files)} of ${formatCount(tableFiles)} ${tableFiles === 1 ? "file" : "files"}`,
  ];
  if (rowGroups !== null) words.push(`${formatCount(rowGroups)} row ${rowGroups === 1 ? "group" : "groups"}`);
  if (dollars !== null) words.push(formatDollars(dollars));
  const route = routeWords(explained.route);
  if (route) words.push(route);
  return words.join(" · ");
}
