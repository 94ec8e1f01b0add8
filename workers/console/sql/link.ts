/**
 * A statement and its parameters in an address. They stand behind `#`, which no browser sends: neither a server's log nor
 * a referrer has them, and no server's bound on addresses meets a long statement. `?sql=` is read too. Pure.
 */
export interface LinkedStatement {
  readonly sql: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** @param page the address without search and fragment. */
export function linkTo(page: string, { sql, parameters }: LinkedStatement): string {
  const parts = new URLSearchParams({ sql });
  for (const [name, value] of Object.entries(parameters)) parts.append(`p.${name}`, value);
  return `${page}#${parts}`;
}

/** @returns null where the address has no statement. */
export function linkedStatement(address: { readonly search: string; readonly hash: string }): LinkedStatement | null {
  for (const text of [address.hash.replace(/^#/, ""), address.search]) {
    const parts = new URLSearchParams(text);
    const sql = parts.get("sql");
    if (sql === null) continue;
    const named = [...parts].filter(([name]) => name.startsWith("p.")).map(([name, value]) => [name.slice(2), value]);
    return { sql, parameters: Object.fromEntries(named) };
  }
  return null;
}
