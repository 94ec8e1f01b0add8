/** A text as a literal of SQL, whose quotes are doubled. Of DuckDB, a text that ends at its first NUL: gate/literals.ts. */
export const stringText = (value: string): string => `'${value.replaceAll("'", "''")}'`;
