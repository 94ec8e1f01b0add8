/**
 * Values that senders send and nobody expects, as JSON text: text, because a value cannot say a key twice, a number that
 * no double holds, or half a surrogate pair.
 */
import { INGEST } from "../../r2-layout/limits.ts";
import type { Random } from "../../scripts/demo/random.ts";

export type JsonText = string;

const NUMBERS = [
  "0",
  "-0",
  "1",
  "-1",
  "0.1",
  "1e3",
  "1E-7",
  "1e308",
  "1e309",
  "-1e999",
  "5e-324",
  "9007199254740991",
  "9007199254740993",
  "2147483647",
  "2147483648",
  "-2147483649",
  "123456789012345678901234567890",
  "0.1000000000000000055511151231257827",
  "1700000000",
  "1700000000000",
  "1700000000000000",
  "8640000000000000",
  "8640000000000001",
  "-62135596800000",
] as const;

const TEXTS = [
  '""',
  '" "',
  '"\\u0000"',
  '"a\\u0000b"',
  '"\\ud800"',
  '"\\udc00\\ud800"',
  '"x\\ud83d"',
  '"\\ud83d\\ude00"',
  '"😀"',
  '"ﷺ"',
  '"e\\u0301"',
  '"\\u202eabc"',
  '"\\ufeff"',
  '"\\uffff"',
  '"null"',
  '"undefined"',
  '"NaN"',
  '"-1"',
  '"1e5"',
  '"0x10"',
  '"true"',
  '"__proto__"',
  '"constructor"',
  '"toString"',
  '"\\n"',
  '"a\\nb\\r\\nc"',
  '"\\t"',
  '"\\"},\\"d\\":1,\\"raw\\":{\\"x\\":\\""',
  '"},\\"d\\":"',
  '"\\\\"',
  '"\'; drop table events; --"',
  '"<script>"',
  '"../../etc/passwd"',
  '"%00"',
  '"ß"',
  '"İ"',
  '"\\u2028\\u2029"',
] as const;

const TIMES = [
  '"2026-11-22T05:02:51Z"',
  '"2026-11-22T05:02:51.123456789Z"',
  '"2026-11-22T05:02:51+14:00"',
  '"2026-11-22T05:02:51-2359"',
  '"2026-11-22 05:02:51"',
  '"2026-11-22"',
  '"2026-11"',
  '"2026"',
  '"20261122"',
  '"2026-02-30T00:00:00Z"',
  '"2026-13-01T00:00:00Z"',
  '"2026-11-22T24:00:00Z"',
  '"2026-11-22T25:00:00Z"',
  '"1970-01-01T00:00:00Z"',
  '"0001-01-01T00:00:00Z"',
  '"-000001-01-01T00:00:00Z"',
  '"+275760-09-13T00:00:00Z"',
  '"+275760-09-13T00:00:00.001Z"',
  '"1684-01-01T00:00:00Z"',
  '"2255-06-05T23:47:34.740992Z"',
  '"2255-06-06T00:00:00Z"',
  '"2099-12-31T23:59:59.999999Z"',
  '"9999-12-31T23:59:59Z"',
  '"Sun, 22 Nov 2026 05:02:51 GMT"',
  '"22/11/2026"',
  '"now"',
  '"0"',
  '"1700000000"',
  '"1700000000.5"',
  '"1700000000000"',
  '"-1"',
  '"99999999999999999"',
  "0",
  "-1",
  "1700000000",
  "1700000000.123456",
  "1700000000000",
  "1700000000000000",
  "9007199254740993",
  "1e20",
  "-1e18",
  "253402300799999",
  "8.64e15",
  '"2026-11-22T05:02:51.Z"',
  '"2026-11-22T05:02Z"',
  '"T05:02:51Z"',
  '" 2026-11-22T05:02:51Z "',
] as const;

const NAMES = [
  "a",
  "plan",
  "__proto__",
  "constructor",
  "hasOwnProperty",
  "",
  " ",
  "toJSON",
  "\\u0000",
  "\\ud800",
  "名",
  "a.b",
  "$set",
  "length",
  "0",
  "-1",
] as const;

export const oddTime = (random: Random): JsonText => random.pick(TIMES);
export const oddText = (random: Random): JsonText => random.pick(TEXTS);

export function oddValue(random: Random): JsonText {
  switch (random.int(0, 15)) {
    case 0:
    case 1:
    case 2:
      return random.pick(NUMBERS);
    case 3:
    case 4:
    case 5:
    case 6:
      return random.pick(TEXTS);
    case 7:
      return "null";
    case 8:
      return random.pick(["true", "false"]);
    case 9:
      return random.pick(["[]", "{}", "[[]]", "[{}]", '[null,1,"a"]']);
    case 10:
      return oddObject(random, random.int(0, 4));
    case 11:
      return oddTime(random);
    case 12:
      return longText(random);
    case 13:
      return nested(random);
    case 14:
      return `[${Array.from({ length: random.int(1, 5) }, () => oddValue(random)).join(",")}]`;
    default:
      return random.chance(0.02) ? "9".repeat(random.int(20, 2_000)) : random.pick(NUMBERS);
  }
}

/** Keys may repeat, and be names that every object has. */
export function oddObject(random: Random, members: number): JsonText {
  const parts: string[] = [];
  for (let i = 0; i < members; i++) parts.push(`"${random.pick(NAMES)}":${oddValue(random)}`);
  return `{${parts.join(",")}}`;
}

/** Around the columns' bounds and the bound of ids; now and then long. */
function longText(random: Random): JsonText {
  const unit = random.pick(["a", "é", "€", "😀", "\\u0001", " "]);
  const length = random.chance(0.9)
    ? random.pick([15, 16, 17, 63, 64, 65, 99, 100, 101, 255, 256, 257])
    : random.int(500, 9_000);
  return `"${unit.repeat(length)}"`;
}

/** Lists and objects in each other, mostly around the bound. */
function nested(random: Random): JsonText {
  const depth = random.chance(0.7) ? random.int(1, 6) : random.int(INGEST.jsonDepth - 3, INGEST.jsonDepth + 2);
  return random.chance(0.5) ? "[".repeat(depth) + "]".repeat(depth) : `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
}
