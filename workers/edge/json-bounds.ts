/**
 * How many values a body's JSON holds, counted before it is parsed: 16 MiB of `[[[[` or `{},{},` would take hundreds
 * of megabytes of heap. Small bodies cannot, and go by unread.
 */

/** Below this many bytes the worst body still parses into some 15 MB. */
const ALWAYS_FITS_BYTES = 256 * 1_024;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const OPEN_OBJECT = 0x7b;

/** Counts objects, lists, and what follows a comma. What stands outside of strings may not be JSON: parsing tells. */
export function holdsMoreValues(body: Uint8Array, limit: number): boolean {
  if (body.length < ALWAYS_FITS_BYTES) return false;
  let values = 0;
  for (let i = 0; i < body.length; i++) {
    const byte = body[i];
    if (byte === QUOTE) i = endOfString(body, i + 1);
    else if ((byte === COMMA || byte === OPEN_OBJECT || byte === OPEN_LIST) && ++values > limit) return true;
  }
  return false;
}

function endOfString(body: Uint8Array, from: number): number {
  let end = body.indexOf(QUOTE, from);
  while (end > 0 && isEscaped(body, end, from)) end = body.indexOf(QUOTE, end + 1);
  return end < 0 ? body.length : end;
}

function isEscaped(body: Uint8Array, at: number, from: number): boolean {
  let backslashes = 0;
  while (at - 1 - backslashes >= from && body[at - 1 - backslashes] === BACKSLASH) backslashes++;
  return backslashes % 2 === 1;
}
