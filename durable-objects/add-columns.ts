/** A schema step of a stored table: columns are only ever added, with a default for the rows that are there. */

/** Adds those of the columns that the table lacks. @param columns name -> type and constraints, as in CREATE TABLE. */
export function addColumns(sql: SqlStorage, table: string, columns: Readonly<Record<string, string>>): void {
  const rows = sql.exec<{ name: string }>("SELECT name FROM pragma_table_info(?)", table);
  const known = new Set(Array.from(rows, ({ name }) => name));
  for (const [name, type] of Object.entries(columns)) {
    if (!known.has(name)) sql.exec(`ALTER TABLE ${table} ADD COLUMN ${name} ${type}`);
  }
}
