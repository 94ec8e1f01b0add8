/** Money in millionths of a unit, as integers: sums are exact in any order, where sums of doubles are not. */

/** What is not finite counts as nothing. */
export function toMicroUnits(amount: number): bigint {
  const micros = Math.round(amount * 1e6);
  return Number.isFinite(micros) ? BigInt(micros) : 0n;
}

export const fromMicroUnits = (micros: bigint): number => Number(micros) / 1e6;
