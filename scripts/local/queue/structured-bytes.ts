/**
 * About how many bytes a value takes when it is cloned into a queue: V8 writes a byte or two of tags per value, one
 * byte per Latin-1 character and two per other character. Production counts about as roughly.
 */
export function structuredBytes(value: unknown): number {
  let bytes = 0;
  const open: unknown[] = [value];
  const seen = new Set<object>();
  while (open.length > 0) {
    const next = open.pop();
    switch (typeof next) {
      case "string":
        bytes += 5 + (isLatin1(next) ? next.length : 2 * next.length);
        break;
      case "number":
      case "bigint":
        bytes += 9;
        break;
      case "object":
        bytes += 2;
        if (next === null || seen.has(next)) break;
        seen.add(next);
        if (next instanceof ArrayBuffer || ArrayBuffer.isView(next)) bytes += 8 + next.byteLength;
        else if (next instanceof Map) for (const entry of next) open.push(entry[0], entry[1]);
        else if (next instanceof Set || Array.isArray(next)) for (const item of next) open.push(item);
        else if (isPlain(next)) {
          for (const key in next) {
            bytes += 2 + key.length;
            open.push((next as Record<string, unknown>)[key]);
          }
        }
        break;
      default:
        bytes += 1;
    }
  }
  return bytes;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the whole Latin-1 range is meant.
const LATIN1 = /^[\x00-\xff]*$/;
const isLatin1 = (text: string) => LATIN1.test(text);

/** Streams, stubs and other hosts' objects travel by reference. */
function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
