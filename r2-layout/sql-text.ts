/** Values as they stand in a statement. */

/** DuckDB knows no escapes but the doubled quote. @throws RangeError where the text has a NUL character. */
export function sqlText(value: string): string {
  if (value.includes("\0")) throw new RangeError("SQL cannot name a text with a NUL character");
  return `'${value.toWellFormed().replaceAll("'", "''")}'`;
}

/** @param ms since the epoch */
export const sqlTime = (ms: number): string =>
  `TIMESTAMP '${new Date(ms).toISOString().slice(0, -1).replace("T", " ")}'`;
