/** A dashboard, read from what a request says: what is not known is refused, because a page could not draw it. */
import { DASHBOARDS, RULE } from "../../r2-layout/limits.ts";
import { err, ok, type Result } from "../../r2-layout/result.ts";
import { isLongerThan } from "../../r2-layout/utf8.ts";
import { DIMENSIONS } from "../minute-rollup/api.ts";
import { isTileId } from "../tile-rollup/definition.ts";
import {
  CORE_METRICS,
  type Dashboard,
  type DashboardFilter,
  type DashboardTile,
  FILTER_COLUMNS,
  SPANS,
  VIEWS,
  WIDTHS,
} from "./dashboard.ts";

export interface DashboardMismatch {
  readonly parameter: string;
  readonly detail: string;
}

type Members = Readonly<Record<string, unknown>>;

/** Thrown and caught in here. */
class Mismatch extends Error {
  readonly mismatch: DashboardMismatch;

  constructor(parameter: string, detail: string) {
    super(detail);
    this.mismatch = { parameter, detail };
  }
}

/** Lower case letters, digits and hyphens: it stands in an address. */
export const isDashboardId = (text: string): boolean =>
  text.length <= DASHBOARDS.idChars && /^[a-z0-9][a-z0-9-]*$/.test(text);

/** @param given its members; which of them are known has been checked. */
export function parseDashboard(given: Members): Result<Dashboard, DashboardMismatch> {
  try {
    const { name, span = "60m", filter = {}, tiles } = given;
    return ok({
      name: textOf(name, "name", { min: 1, max: DASHBOARDS.nameChars }),
      span: oneOf(span, "span", SPANS),
      filter: filterOf(filter),
      tiles: tilesOf(tiles),
    });
  } catch (error) {
    if (error instanceof Mismatch) return err(error.mismatch);
    throw error;
  }
}

export const DASHBOARD_MEMBERS = ["name", "span", "filter", "tiles"] as const;
const TILE_MEMBERS = ["id", "title", "view", "metric", "by", "width"];

function tilesOf(given: unknown): DashboardTile[] {
  if (!Array.isArray(given) || given.length > DASHBOARDS.tiles) {
    throw new Mismatch("tiles", `a list of at most ${DASHBOARDS.tiles} tiles`);
  }
  const tiles = given.map((tile: unknown, i) => tileOf(tile, `tiles.${i}`));
  const ids = new Set(tiles.map(({ id }) => id));
  if (ids.size < tiles.length) throw new Mismatch("tiles", "each has an id of its own");
  return tiles;
}

function tileOf(given: unknown, path: string): DashboardTile {
  const members = membersOf(given, path, TILE_MEMBERS);
  const { id, title = "", view, metric, by = null, width = 1 } = members;
  if (typeof id !== "string" || !isDashboardId(id)) {
    throw new Mismatch(`${path}.id`, `1 to ${DASHBOARDS.idChars} lower case letters, digits and hyphens`);
  }
  return {
    id,
    title: textOf(title, `${path}.title`, { min: 0, max: DASHBOARDS.nameChars }),
    view: oneOf(view, `${path}.view`, VIEWS),
    ...measured(metric, by, path),
    width: oneOf(width, `${path}.width`, WIDTHS),
  };
}

function measured(metric: unknown, by: unknown, path: string): Pick<DashboardTile, "metric" | "by"> {
  if (typeof metric === "string" && isTileId(metric)) {
    const bytes = "properties.".length + RULE.propertyNameBytes;
    if (by === null || (typeof by === "string" && by !== "" && !isLongerThan(by, bytes))) return { metric, by };
    throw new Mismatch(`${path}.by`, `one of the definition's dimensions, of at most ${bytes} bytes`);
  }
  const core = CORE_METRICS.find((known) => known === metric);
  if (!core) throw new Mismatch(`${path}.metric`, `one of ${CORE_METRICS.join(", ")}, or a definition's id`);
  if (by === null) return { metric: core, by };
  if (core !== "events") throw new Mismatch(`${path}.by`, `${core} are not told apart; events are, and definitions`);
  return { metric: core, by: oneOf(by, `${path}.by`, DIMENSIONS) };
}

function filterOf(given: unknown): DashboardFilter {
  const members = membersOf(given, "filter", FILTER_COLUMNS);
  return Object.fromEntries(
    Object.entries(members).map(([column, values]) => {
      const isValue = (value: unknown): value is string =>
        typeof value === "string" && value !== "" && !isLongerThan(value, DASHBOARDS.filterValueBytes);
      const isList = Array.isArray(values) && values.length > 0 && values.length <= DASHBOARDS.filterValues;
      if (isList && values.every(isValue)) return [column, [...new Set(values)]];
      const bound = `1 to ${DASHBOARDS.filterValues} texts of at most ${DASHBOARDS.filterValueBytes} bytes`;
      throw new Mismatch(`filter.${column}`, `a list of ${bound}`);
    }),
  );
}

function membersOf(given: unknown, path: string, known: readonly string[]): Members {
  if (typeof given !== "object" || given === null || Array.isArray(given)) throw new Mismatch(path, "an object");
  const unknown = Object.keys(given).find((name) => !known.includes(name));
  if (unknown === undefined) return given as Members;
  throw new Mismatch(`${path}.${unknown}`, `there is no such member; there are ${known.join(", ")}`);
}

function textOf(given: unknown, path: string, { min, max }: { min: number; max: number }): string {
  if (typeof given === "string" && given.trim().length >= min && given.length <= max)
    return given.toWellFormed().trim();
  throw new Mismatch(path, `a text of ${min} to ${max} characters`);
}

function oneOf<const T extends string | number>(given: unknown, path: string, allowed: readonly T[]): T {
  const found = allowed.find((known) => known === given);
  if (found === undefined) throw new Mismatch(path, `one of ${allowed.join(", ")}`);
  return found;
}
