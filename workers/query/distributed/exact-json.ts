/** JSON whose whole numbers beyond 2^53 stay what they are: those become a bigint. */
export function exactJson(text: string): unknown {
  return (JSON.parse as (text: string, revive: Revive) => unknown)(text, (_, value, context) => {
    if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
    return /^-?\d+$/.test(context?.source ?? "") ? BigInt(context!.source!) : value;
  });
}

type Revive = (key: string, value: unknown, context?: { readonly source?: string }) => unknown;
