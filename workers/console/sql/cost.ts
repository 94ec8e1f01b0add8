/** What a statement costs, in words. Pure. */

/** Two figures that say something, one of what is less than a hundredth of a cent; never 0 for what is not. */
export function formatDollars(dollars: number): string {
  if (dollars === 0) return "$0";
  if (dollars < 1e-6) return "under $0.000001";
  const first = -Math.floor(Math.log10(dollars));
  return `$${dollars.toFixed(dollars >= 1 ? 2 : dollars < 1e-4 ? first : Math.max(2, first + 1))}`;
}

/** Where an answer comes from, in words; null for the engine, which goes without saying. */
export function routeWords(route: string | undefined): string | null {
  if (route === "rollups") return "from the rollups";
  if (route === "cache") return "from the cache";
  if (route === "distributed") return "by the larger engine";
  return null;
}
