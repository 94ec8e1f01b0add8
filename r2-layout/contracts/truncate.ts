/** A value of a PII class, cut to what tells nobody apart. Pure. */
import type { PiiClass } from "./contract.ts";

/** @param value anything but a list, as JSON has it. @returns text, or a number for a number that says where. */
export function truncated(value: unknown, kind: PiiClass): string | number {
  if (kind === "location" && typeof value === "number") return rounded(value);
  // Of an object nothing is known but that it is one.
  if (typeof value !== "string" && typeof value !== "number") return CUT;
  return CUTS[kind](String(value).trim());
}

/** Stands for what was cut off. */
const CUT = "…";

const CUTS: Record<PiiClass, (text: string) => string> = {
  /** Its first letter. */
  name: (text) => `${firstOf(text, 1)}${CUT}`,
  /** Whose mail it is, without the mailbox. */
  email(text) {
    const at = text.lastIndexOf("@");
    return at < 0 ? CUT : `${CUT}${text.slice(at).toLowerCase()}`;
  },
  /** Country and area, of a number that says them. */
  phone(text) {
    const digits = text.replace(/[^\d+]/g, "");
    return /^\+\d{8,15}$/.test(digits) ? `${digits.slice(0, 5)}${CUT}` : CUT;
  },
  /** What stands after the last comma, town or country; of an internet address the network. */
  address: (text) => network(text) ?? lastPart(text),
  /** Of a long one its beginning, by which kinds are told apart. */
  identifier: (text) => `${firstOf(text, Math.min(4, Math.floor(text.length / 4)))}${CUT}`,
  /** The last four digits, of twelve or more. */
  financial(text) {
    const digits = text.replace(/\D/g, "");
    return digits.length < 12 ? CUT : `${CUT}${digits.slice(-4)}`;
  },
  /** 11 km. */
  location: (text) => (/^-?\d+(\.\d+)?$/.test(text) ? String(rounded(Number(text))) : lastPart(text)),
  /** How long it was. */
  free_text: (text) => `${CUT} (${text.length})`,
};

const rounded = (degrees: number): number => Math.round(degrees * 10) / 10 + 0;

/** Whole characters: half of a pair would be none. */
const firstOf = (text: string, count: number): string =>
  Array.from(text.slice(0, 2 * count))
    .slice(0, count)
    .join("");

function lastPart(text: string): string {
  const comma = text.lastIndexOf(",");
  return comma < 0 ? CUT : `${CUT}, ${text.slice(comma + 1).trim()}`;
}

/** The first three parts of an IPv4 address, the first three groups of an IPv6 address; undefined for anything else. */
function network(text: string): string | undefined {
  const four = /^(\d{1,3}\.\d{1,3}\.\d{1,3})\.\d{1,3}$/.exec(text);
  if (four) return `${four[1]}.0`;
  const six = /^([0-9a-f]{1,4}:[0-9a-f]{1,4}:[0-9a-f]{1,4}):[0-9a-f:.]+$/i.exec(text);
  return six ? `${six[1]}::` : undefined;
}
