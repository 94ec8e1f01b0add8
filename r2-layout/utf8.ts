/** Text measured and cut in UTF-8 bytes, as columns and queues count it. */

const encoder = new TextEncoder();
let scratch = new Uint8Array(4_096);

/** The longest beginning of `text` that takes at most `maxBytes`, cut between characters; lone surrogates become U+FFFD. */
export function cutUtf8(text: string, maxBytes: number): string {
  const whole = text.isWellFormed() ? text : text.toWellFormed();
  // A UTF-16 unit takes at most three bytes.
  if (whole.length * 3 <= maxBytes) return whole;
  if (scratch.length < maxBytes) scratch = new Uint8Array(maxBytes);
  const { read } = encoder.encodeInto(whole, scratch.subarray(0, maxBytes));
  return read === whole.length ? whole : whole.slice(0, read);
}

/** Whether `text` takes more than `maxBytes`, without counting where its length alone tells. */
export function isLongerThan(text: string, maxBytes: number): boolean {
  if (text.length * 3 <= maxBytes) return false;
  return text.length > maxBytes || Buffer.byteLength(text) > maxBytes;
}
