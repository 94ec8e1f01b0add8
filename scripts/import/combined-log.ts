/**
 * Reads a line of a web server's access log in the combined format (or the common format, which lacks the last two):
 *
 *     host ident user [day/Mon/year:h:m:s zone] "request" status bytes "referrer" "user agent"
 *
 * A line cut short after its status is read with what it has; one that does not come that far is no request.
 */

export interface LoggedRequest {
  readonly host: string;
  /** Of HTTP authentication. */
  readonly user: string | null;
  /** ISO 8601, UTC. */
  readonly time: string;
  /** The request line as logged. Method, target and protocol are null where it is not one (a TLS hello, say). */
  readonly request: string;
  readonly method: string | null;
  readonly target: string | null;
  readonly protocol: string | null;
  readonly status: number;
  /** Of the body; 0 where the log says `-`. Null where the line ends before. */
  readonly bytes: number | null;
  readonly referrer: string | null;
  /** As logged, `-` and the empty text included: it is part of what tells devices apart. */
  readonly userAgent: string;
}

const HEAD = /^(\S+) \S+ (.*?) \[(\d{2})\/([A-Z][a-z]{2})\/(\d{4}):(\d{2}):(\d{2}):(\d{2}) ([+-])(\d{2})(\d{2})\] "/;
const REQUEST_LINE = /^([A-Za-z][A-Za-z-]*) (\S.*?)(?: (HTTP\/\d(?:\.\d)?))?$/;
const STATUS_AND_BYTES = /^ (\d{3})(?: (\d+|-)?)?(?= |$)/;
const MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec";

/** @returns null where the line is none of these. */
export function parseLogLine(line: string): LoggedRequest | null {
  const head = HEAD.exec(line);
  if (head === null) return null;
  const time = isoTime(head);
  const request = readQuoted(line, head[0].length);
  if (time === null || !request.closed) return null;
  const answer = STATUS_AND_BYTES.exec(line.slice(request.end));
  if (answer === null) return null;
  let at = request.end + answer[0].length;
  const next = (): string | null => {
    if (!line.startsWith(' "', at)) return null;
    const { text, end } = readQuoted(line, at + 2);
    at = end;
    return text;
  };
  const referrer = next();
  const userAgent = next();
  const [, method = null, target = null, protocol = null] = REQUEST_LINE.exec(request.text) ?? [];
  return {
    host: head[1]!,
    user: orNull(head[2]!),
    time,
    request: request.text,
    method,
    target,
    protocol,
    status: Number(answer[1]),
    bytes: answer[2] === undefined ? null : answer[2] === "-" ? 0 : Number(answer[2]),
    referrer: referrer === null ? null : orNull(referrer),
    userAgent: userAgent ?? "",
  };
}

/** The text up to the next quote that no backslash stands before, or to the end of a line cut short. */
function readQuoted(line: string, start: number): { text: string; end: number; closed: boolean } {
  for (let at = start; at < line.length; at++) {
    if (line[at] === "\\") at++;
    else if (line[at] === '"') return { text: unquoted(line.slice(start, at)), end: at + 1, closed: true };
  }
  return { text: unquoted(line.slice(start)), end: line.length, closed: false };
}

/** Servers write `\"` and `\\`; other escapes (`\xe4`) name bytes of unknown encoding and stay as they are. */
const unquoted = (text: string): string => (text.includes("\\") ? text.replace(/\\(["\\])/g, "$1") : text);

const orNull = (text: string): string | null => (text === "-" || text === "" ? null : text);

function isoTime([, , , day, month, year, hour, minute, second, sign, zoneHour, zoneMinute]: RegExpExecArray):
  | string
  | null {
  const monthAt = MONTHS.indexOf(month!);
  if (monthAt < 0 || monthAt % 3 !== 0) return null;
  const local = new Date(Date.UTC(+year!, monthAt / 3, +day!, +hour!, +minute!, +second!));
  // A day that the month does not have, or an hour 25, would roll over without a word.
  if (local.getUTCDate() !== +day! || local.getUTCHours() !== +hour! || +minute! > 59) return null;
  const zoneMs = (sign === "-" ? -1 : 1) * (+zoneHour! * 60 + +zoneMinute!) * 60_000;
  return new Date(local.getTime() - zoneMs).toISOString();
}
