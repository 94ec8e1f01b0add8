/** The tables and their columns, from the table that describes the event. A column's name goes into the statement. */
import { useState } from "preact/hooks";
import { type Column, TABLES, type TableName } from "../../../r2-layout/event-columns.ts";
import { SQL_TYPES } from "../../../r2-layout/sql-types.ts";

export const columnsOf = (table: TableName): [name: string, type: string, doc: string][] =>
  Object.entries<Column>(TABLES[table]).map(([name, column]) => [name, SQL_TYPES[column.type], column.doc]);

export function Schema({ onInsert }: { onInsert(text: string): void }) {
  const [filter, setFilter] = useState("");
  const sought = filter.trim().toLowerCase();
  return (
    <aside class="card schema" aria-label="Tables and columns">
      <label>
        <span class="hidden">Find a column</span>
        <input
          type="search"
          placeholder="Find a column"
          value={filter}
          onInput={(event) => setFilter(event.currentTarget.value)}
        />
      </label>
      {(Object.keys(TABLES) as TableName[]).map((table) => {
        const columns = columnsOf(table).filter(([name, , doc]) => `${name} ${doc}`.toLowerCase().includes(sought));
        return (
          <details key={table} open={table === "events" || sought !== ""}>
            <summary>
              <code>{table}</code> <span class="quiet">{columns.length} columns</span>
            </summary>
            <ul>
              {columns.map(([name, type, doc]) => (
                <li key={name}>
                  <button
                    type="button"
                    class="plain"
                    title={`Put ${name} into the statement`}
                    onClick={() => onInsert(name)}
                  >
                    <code>{name}</code>
                    <span class="quiet">{type}</span>
                  </button>
                  <p class="quiet">{withCode(doc)}</p>
                </li>
              ))}
            </ul>
          </details>
        );
      })}
    </aside>
  );
}

/** A doc's `names` in the code face. */
const withCode = (doc: string) =>
  doc.split("`").map((part, index) => (index % 2 ? <code key={part}>{part}</code> : part));
