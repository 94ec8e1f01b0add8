/** A statement changed a little, where parsers might begin to disagree about it. */
import type { Random } from "../../../scripts/demo/random.ts";

const INSERTS = [
  "'",
  '"',
  "''",
  '""',
  "\\",
  "\\'",
  "$$",
  "$1",
  "?",
  "`",
  ";",
  "--",
  "/*",
  "*/",
  "/**/",
  "#",
  "@",
  "::",
  ":=",
  "=>",
  "->",
  "->>",
  "[",
  "]",
  "{",
  "}",
  "(",
  ")",
  ",",
  ".",
  "..",
  "*",
  "\0",
  "\u0001",
  "\n",
  "\r",
  "\t",
  "\v",
  "\f",
  "\u0085",
  "\u00a0",
  "\u2028",
  "\u3000",
  "\u200b",
  "\ufeff",
  "\u202e",
  "\ud83d\ude00",
  "\u0130",
  "ſ",
  "K",
  "E'",
  "e'\\'",
  "X'",
  "U&'",
  "N'",
  "1e",
  "0x1F",
  "1_000",
  ".5",
  "end",
  "as",
  "select",
  "from",
  "table",
  "union",
  "with",
  "recursive",
  "lateral",
  "values",
  "pivot",
  "qualify",
  "events",
  "'secret.csv'",
  "read_csv('secret.csv')",
  "using sample 1",
  "at (version => 1)",
  "for update",
  "into outfile 'x'",
  "settings x = 1",
  "format json",
  "|> select 1",
];

export function mutated(random: Random, sql: string): string {
  let text = sql;
  for (let changes = random.int(1, 4); changes > 0; changes--) text = once(random, text);
  return text;
}

function once(random: Random, text: string): string {
  const words = text.split(/(\b)/);
  const at = random.int(0, words.length - 1);
  const other = random.int(0, words.length - 1);
  switch (random.int(0, 7)) {
    case 0:
      words.splice(at, 1);
      break;
    case 1:
      words.splice(at, 0, words[other]!);
      break;
    case 2:
      [words[at], words[other]] = [words[other]!, words[at]!];
      break;
    case 3:
      words.splice(at, random.int(1, 6));
      break;
    case 4:
      words[at] = random.chance(0.5) ? words[at]!.toUpperCase() : `"${words[at]}"`;
      break;
    case 5:
      return text.slice(0, random.int(0, text.length));
    default: {
      const place = random.int(0, text.length);
      return `${text.slice(0, place)}${random.pick(INSERTS)}${text.slice(place)}`;
    }
  }
  return words.join("");
}
