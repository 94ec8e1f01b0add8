/** Whether a line of the log names somebody, of whatever kind it is and whatever state it is in. */
import type { QuarantineRow } from "./event-columns.ts";
import { erasedKind, readLogLine } from "./log-line.ts";
import { type Subject, subjectsInJson, subjectsOf } from "./subjects.ts";

type IsSought = (subject: Subject) => boolean;

/** An event by what its columns say; a quarantined one, and what cannot be read, by any text in it. One that was erased names nobody. */
export function lineNames(line: string, isSought: IsSought): boolean {
  if (erasedKind(line)) return false;
  let entry: ReturnType<typeof readLogLine>;
  try {
    entry = readLogLine(line);
  } catch {
    return jsonNames(line, isSought);
  }
  const { row, q, rawText } = entry;
  if (typeof row !== "object" || row === null) return jsonNames(line, isSought);
  if (subjectsOf(row).some(isSought)) return true;
  return q !== undefined && jsonNames(rawText ?? "", isSought);
}

/** Of a quarantined row: by its columns, and by any text of what its sender sent. */
export function quarantineNames(
  { user_id, anonymous_id, raw }: Partial<Pick<QuarantineRow, "user_id" | "anonymous_id" | "raw">>,
  isSought: IsSought,
): boolean {
  if (user_id && isSought({ kind: "user", id: user_id })) return true;
  if (anonymous_id && isSought({ kind: "device", id: anonymous_id })) return true;
  return jsonNames(raw ?? "", isSought);
}

/** Whether JSON, which may be cut off, names somebody: where it is cut, each text in it that is whole. */
export function jsonNames(json: string, isSought: IsSought): boolean {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    value = json.match(/"(?:[^"\\]|\\.)*"/g)?.map(plainText) ?? [];
  }
  return subjectsInJson(value).some(isSought);
}

function plainText(quoted: string): string {
  try {
    return JSON.parse(quoted) as string;
  } catch {
    return "";
  }
}
