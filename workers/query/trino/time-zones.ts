/**
 * Times in a zone. Every time here is one of UTC without a zone, so "in a zone" is the clock on the wall there: right for
 * `date_trunc('day', event_time AT TIME ZONE 'Europe/Paris')`, which is what it is asked for.
 */

import { stringText } from "../plan/string-text.ts";
import { stringLiteral } from "../plan/syntax-tree.ts";
import { unsupported } from "./sql-text.ts";

const UTC = /^(utc|z|gmt|etc\/utc|zulu|uct|etc\/gmt|\+00:?00)$/i;
const OFFSET = /^([+-])(\d{2}):?(\d{2})$/;

/** @param way "to" that zone's clock, or "from" it to UTC. @throws Refused for a zone that is not written out. */
export function atZone(time: string, zone: unknown, way: "to" | "from" = "to"): string {
  const name = stringLiteral(zone);
  if (name === null) throw unsupported("a time zone that is not written out");
  if (UTC.test(name)) return time;
  const offset = OFFSET.exec(name);
  if (!offset) {
    if (!/^[A-Za-z]+(\/[A-Za-z0-9_+-]+)+$/.test(name)) throw unsupported(`the time zone ${name}`);
    return `${way}_timezone(${time}, ${stringText(name)})`;
  }
  const minutes = Number(offset[2]) * 60 + Number(offset[3]);
  const isAhead = (offset[1] === "+") === (way === "to");
  return `(${time} ${isAhead ? "+" : "-"} INTERVAL '${minutes}' MINUTE)`;
}

/** `2020-01-01 00:00:00 UTC` and the like, as a TIMESTAMP's text in UTC. */
export function withoutZone(text: string): string {
  const zone = /\s*(Z|[+-]\d{2}:?\d{2}|[A-Za-z][A-Za-z0-9_/+-]*)$/.exec(text);
  if (!zone) return text;
  const [whole, name = ""] = zone;
  const local = text.slice(0, -whole.length);
  if (UTC.test(name)) return local;
  const offset = OFFSET.exec(name);
  if (!offset) throw unsupported(`the time zone ${name} in a literal`);
  const minutes = (offset[1] === "+" ? -1 : 1) * (Number(offset[2]) * 60 + Number(offset[3]));
  const [seconds = "", fraction] = local.split(".");
  const ms =
    Date.parse(`${seconds.trim().replace(" ", "T")}${seconds.length > 10 ? "" : "T00:00"}Z`) + minutes * 60_000;
  if (Number.isNaN(ms)) throw unsupported(`the time ${text}`);
  return `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")}${fraction === undefined ? "" : `.${fraction}`}`;
}
