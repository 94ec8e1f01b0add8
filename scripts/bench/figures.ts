/** What every benchmark does with its times, and how it checks that the timed output is right. */

/** The value below which a share `q` (0 to 1) of the values lies; NaN of none. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** `1,234,567`. */
export const count = (n: number): string => Math.round(n).toLocaleString("en");

/** @throws Error that names what differs. */
export function expectEqual(what: string, found: unknown, wanted: unknown): void {
  if (found !== wanted) throw new Error(`${what}: ${String(found)}, expected ${String(wanted)}`);
  console.log(`checked: ${what} = ${String(found)}`);
}
