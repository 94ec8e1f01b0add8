/** Formats of times: MySQL's letters and Joda's, both of which Trino has, as strftime's. */
import { unsupported } from "./sql-text.ts";

/** Of date_format and date_parse. @throws Refused for a letter without a like. */
export function mysql(format: string): string {
  return format.replace(/%(.)/gs, (_, letter: string) => {
    const like = MYSQL[letter];
    if (like === undefined) throw unsupported(`%${letter} in a format`);
    return like;
  });
}

const MYSQL: Readonly<Record<string, string>> = {
  a: "%a",
  b: "%b",
  c: "%-m",
  d: "%d",
  e: "%-d",
  f: "%f",
  H: "%H",
  h: "%I",
  I: "%I",
  i: "%M",
  j: "%j",
  k: "%-H",
  l: "%-I",
  M: "%B",
  m: "%m",
  p: "%p",
  r: "%I:%M:%S %p",
  S: "%S",
  s: "%S",
  T: "%H:%M:%S",
  v: "%V",
  W: "%A",
  Y: "%Y",
  y: "%y",
  x: "%G",
  "%": "%%",
};

/** Of format_datetime and parse_datetime: runs of a letter, text in quotes. @throws Refused */
export function joda(format: string): string {
  return format.replace(
    /'((?:[^']|'')*)'|([A-Za-z])\2*|%/g,
    (run: string, text: string | undefined, letter: string | undefined) => {
      if (run === "%") return "%%";
      if (text !== undefined) return (text === "" ? "'" : text.replaceAll("''", "'")).replaceAll("%", "%%");
      const like = JODA[run] ?? (letter === "y" || letter === "Y" ? "%Y" : undefined);
      if (like === undefined) throw unsupported(`${run} in a format`);
      return like;
    },
  );
}

const JODA: Readonly<Record<string, string>> = {
  yy: "%y",
  M: "%-m",
  MM: "%m",
  MMM: "%b",
  MMMM: "%B",
  d: "%-d",
  dd: "%d",
  D: "%-j",
  DDD: "%j",
  H: "%-H",
  HH: "%H",
  h: "%-I",
  hh: "%I",
  m: "%-M",
  mm: "%M",
  s: "%-S",
  ss: "%S",
  SSS: "%g",
  SSSSSS: "%f",
  a: "%p",
  E: "%a",
  EEE: "%a",
  EEEE: "%A",
  e: "%u",
  ww: "%V",
  Z: "+0000",
  ZZ: "+00:00",
};
