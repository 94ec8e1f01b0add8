/** The tables and their columns, as the lake has them, and the functions that are ours. A name goes into the statement. */
import { useState } from "preact/hooks";
import { FUNCTION_DOCS } from "../../../query/functions/function-docs.ts";
import type { Columns } from "./columns.ts";

export function Schema({ tables, onInsert }: { tables: Columns; onInsert(text: string): void }) {
  const [filter, setFilter] = useState("");
  const sought = filter.trim().toLowerCase();
  return (
    <div class="schema">
      <label>
        <span class="hidden">Find a column or function</span>
        <input
          type="search"
          placeholder="Find a column or function"
          value={filter}
          onInput={(event) => setFilter(event.currentTarget.value)}
        />
      </label>
      {Object.entries(tables).map(([table, all]) => {
        const columns = all.filter(({ name, doc }) => `${name} ${doc}`.toLowerCase().includes(sought));
        if (columns.length === 0) return null;
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
      <Functions sought={sought} onInsert={onInsert} />
    </div>
  );
}

function Functions({ sought, onInsert }: { sought: string; onInsert(text: string): void }) {
  const functions = FUNCTION_DOCS.filter(({ name, doc }) => `${name} ${doc}`.toLowerCase().includes(sought));
  if (functions.length === 0) return null;
  return (
    <details open={sought !== ""}>
      <summary>
        <code>functions</code> <span class="quiet">{functions.length} beside DuckDB's</span>
      </summary>
      <ul>
        {functions.map(({ name, args, doc, example }) => (
          <li key={name}>
            <button
              type="button"
              class="plain"
              title={`Put ${name} into the statement`}
              onClick={() => onInsert(callOf(name, args))}
            >
              <code>{name}</code>
              <span class="quiet">{callOf("", args)}</span>
            </button>
            <p class="quiet">
              {withCode(doc)} <code>{example}</code>
            </p>
          </li>
        ))}
      </ul>
    </details>
  );
}

/** Arguments of an operator have it between them already. */
const callOf = (name: string, args: string): string => (/[<>]/.test(args) ? args : `${name}(${args})`);

/** A doc's `names` in the code face. */
const withCode = (doc: string) =>
  doc.split("`").map((part, index) => (index % 2 ? <code key={part}>{part}</code> : part));
