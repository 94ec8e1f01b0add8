/**
 * Where a tile's figures come from, by what it shows and what the dashboard is narrowed to. Frames are the same for everybody, so a filter
 * is applied here where the figures tell its values apart; where they do not, a rollup has to count so, and the page offers to make it.
 * Nothing of a dashboard is ever read from the lake. Pure.
 */
import {
  CORE_METRICS,
  type CoreMetric,
  type DashboardFilter,
  type DashboardTile,
  FILTER_COLUMNS,
} from "../../../durable-objects/dashboards/dashboard.ts";
import {
  type Definition,
  type DefinitionRequest,
  fieldOf,
  fieldsOf,
  isAdditive,
  requestOf,
  sameComputation,
  type ValueFilter,
} from "./definitions.ts";
import type { Dimension } from "./minutes.ts";
import type { MinuteMetric, Only } from "./points.ts";

export type Source =
  /** The hub's minutes, and GET /v1/rollups of the same metric. */
  | {
      readonly kind: "core";
      readonly metric: MinuteMetric;
      readonly by: Dimension | null;
      readonly only: readonly string[] | null;
    }
  | { readonly kind: "rollup"; readonly definition: Definition; readonly only: Only }
  /** It is not counted so: `wanted` would. */
  | { readonly kind: "uncounted"; readonly wanted: DefinitionRequest; readonly columns: readonly string[] }
  /** Its definition is not there (any more). */
  | { readonly kind: "unknown" };

const isCore = (metric: string): metric is CoreMetric => (CORE_METRICS as readonly string[]).includes(metric);

export function sourceOf(tile: DashboardTile, filter: DashboardFilter, definitions: readonly Definition[]): Source {
  const active = FILTER_COLUMNS.flatMap((column) => {
    const values = filter[column];
    return values && values.length > 0 ? [[column, values] as const] : [];
  });
  const columns = active.map(([column]) => column);
  const counted = (wanted: DefinitionRequest): Source => {
    const definition = definitions.find((known) => sameComputation(known, wanted));
    return definition ? { kind: "rollup", definition, only: {} } : { kind: "uncounted", wanted, columns };
  };

  if (isCore(tile.metric)) {
    const metric = tile.metric === "rate" ? "events" : tile.metric;
    const by = tile.by as Dimension | null;
    if (active.length === 0) return { kind: "core", metric, by, only: null };
    const [only, ...further] = active;
    const [column, values] = only!;
    const tellsApart = column !== "source" && (by === null || by === column);
    if (metric === "events" && further.length === 0 && tellsApart) {
      return { kind: "core", metric, by: column, only: values };
    }
    return counted(coreRequest(tile.metric, by, Object.fromEntries(active)));
  }

  const definition = definitions.find(({ id }) => id === tile.metric);
  if (!definition) return { kind: "unknown" };
  if (active.length === 0) return { kind: "rollup", definition, only: {} };
  const fields = fieldsOf(definition);
  if (isAdditive(definition) && columns.every((column) => fields.includes(column))) {
    return { kind: "rollup", definition, only: Object.fromEntries(active) };
  }
  const wanted = narrowed(requestOf(definition), active);
  // No event can have both the definition's values and these.
  const impossible = Object.entries(wanted.filter).filter(([, values]) => values.length === 0);
  if (impossible.length > 0) return { kind: "rollup", definition, only: Object.fromEntries(active) };
  return counted({ ...wanted, name: nameOf(definition.name, Object.fromEntries(active)) });
}

/** What counts a core metric with a filter. Users are told apart by their id then: nothing else of them is one column. */
function coreRequest(metric: CoreMetric, by: Dimension | null, filter: Record<string, readonly string[]>) {
  const names = { events: "Events", rate: "Events", users: "Signed-in users", revenue: "Revenue" } as const;
  const common = { name: nameOf(names[metric], filter), grain_minutes: 1, filter } as const;
  const request: Readonly<Record<CoreMetric, DefinitionRequest>> = {
    events: { ...common, measure: "count", by: by === null ? [] : [fieldOf(by)] },
    rate: { ...common, measure: "count", by: [] },
    users: { ...common, measure: "distinct", column: "user_id", by: [] },
    revenue: { ...common, measure: "sum", column: "revenue", by: ["currency"] },
  };
  return request[metric];
}

/** Both filters hold. */
function narrowed(
  request: DefinitionRequest,
  active: readonly (readonly [string, readonly string[]])[],
): DefinitionRequest {
  const filter: Record<string, ValueFilter[string]> = { ...request.filter };
  for (const [column, values] of active) {
    const known = filter[column];
    filter[column] = known ? values.filter((value) => known.includes(value)) : values;
  }
  return { ...request, filter };
}

function nameOf(name: string, filter: Readonly<Record<string, readonly string[]>>): string {
  const values = Object.values(filter).flat().join(", ");
  return `${name}: ${values}`.slice(0, 100);
}
