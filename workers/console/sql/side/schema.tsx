/** The tables and their columns, as the lake has them. A column's name goes into the statement. */
import { useState } from "preact/hooks";
import type { Columns } from "./columns.ts";

export function Schema({ tables, onInsert }: { tables: Columns; onInsert(text: string): void }) {
  const [filter, setFilter] = useState("");
  const sought = filter.trim().toLowerCase();
  return (
    <div class="schema">
      <label>
        <span class="hidden">Find a column</span>
        <input
          type="search"
          placeholder="Find a column"
          value={filter}
          onInput={(event) => setFilter(event.currentTarget.value)}
        />
      </label>
      {Object.entries(tables).map(([table, all]) => {
        const columns = all.filter(({ name, doc }) => `${name} ${doc}`.toLowerCase().includes(sought));
        return (
          <details key={table} open={table === "events" || sought !== ""}>
            <summary>
              <code>{table}</code> <span class="quiet">{columns.length} columns</span>
            </summary>
            <ul>
              {columns.map(({ name, type, doc, property }) => (
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
                  <p class="quiet">
                    {withCode(doc)}
                    {property !== null && (
                      <>
                        {doc === "" ? "" : " "}From property <code>{property}</code>.
                      </>
                    )}
                  </p>
                </li>
              ))}
            </ul>
          </details>
        );
      })}
    </div>
  );
}

/** A doc's `names` in the code face. */
const withCode = (doc: string) =>
  doc.split("`").map((part, index) => (index % 2 ? <code key={part}>{part}</code> : part));
