/** Statements with a name, kept in this browser. A link carries one to somebody else. */
import { useState } from "preact/hooks";
import { formatWhen } from "../../shell/format.ts";
import { matching, SAVED_MAX, saved } from "../history.ts";
import { linkTo } from "../link.ts";
import { CopyButton } from "../outcome/copy-button.tsx";
import { useStoredList } from "../stored-list.ts";
import { SearchField } from "./search-field.tsx";

export interface SavedListProps {
  onUse(sql: string): void;
  current(): string;
}

export function SavedList({ onUse, current }: SavedListProps) {
  const statements = useStoredList(saved);
  const [name, setName] = useState("");
  const [sought, setSought] = useState("");
  const [said, setSaid] = useState("");
  const exists = statements.some((statement) => statement.name === name.trim());
  const submit = (event: Event) => {
    event.preventDefault();
    const sql = current().trim();
    if (name.trim() === "" || sql === "") return;
    saved.put({ name: name.trim(), sql, savedAt: Date.now() });
    setSaid(`Saved as ${name.trim()}`);
    setName("");
  };
  const page = `${location.origin}${location.pathname}`;
  return (
    <>
      <form class="save" onSubmit={submit}>
        <label>
          <span class="hidden">Name of the statement</span>
          <input
            id="save-name"
            placeholder="Name of the statement"
            maxLength={100}
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </label>
        <button type="submit" disabled={name.trim() === ""}>
          {exists ? "Replace" : "Save"}
        </button>
      </form>
      <p class={said ? "quiet" : "hidden"} role="status">
        {said}
      </p>
      {statements.length === 0 && (
        <p class="quiet">
          Saved statements stay in this browser, {SAVED_MAX} of them. For a colleague copy a link: it carries the
          statement.
        </p>
      )}
      {statements.length > 5 && <SearchField label="Search saved statements" value={sought} onInput={setSought} />}
      <ul class="past">
        {matching(statements, sought).map(({ name: own, sql, savedAt }) => (
          <li key={own}>
            <button type="button" class="plain" title={sql} onClick={() => onUse(sql)}>
              <strong>{own}</strong>
              <code>{sql.slice(0, 200)}</code>
              <span class="quiet">{formatWhen(savedAt, Date.now())}</span>
            </button>
            <CopyButton text={linkTo(page, { sql, parameters: {} })} label="Link" />
            <button
              type="button"
              class="plain remove"
              aria-label={`Delete ${own}`}
              title="Delete it"
              onClick={() => saved.remove(own)}
            >
              ×
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}
