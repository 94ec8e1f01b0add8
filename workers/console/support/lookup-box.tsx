/** The one box: whatever the customer can read out goes in here. */
import { useEffect, useState } from "preact/hooks";

export function LookupBox({ text, busy, onLookup }: { text: string; busy: boolean; onLookup(text: string): void }) {
  const [value, setValue] = useState(text);
  useEffect(() => setValue(text), [text]);
  const submit = (event: Event) => {
    event.preventDefault();
    if (value.trim()) onLookup(value.trim());
  };
  return (
    // biome-ignore lint/a11y/useSemanticElements: <search> is too young for older browsers.
    <form class="card lookup" role="search" onSubmit={submit}>
      <label class="id">
        <span class="hidden">User id, device id, e-mail address or event id</span>
        <input
          id="lookup"
          type="search"
          name="q"
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
          maxLength={512}
          autofocus={!text}
          placeholder="User id, device id, e-mail address or event id"
          value={value}
          onInput={(event) => setValue(event.currentTarget.value)}
        />
        <span class="key" aria-hidden="true">
          /
        </span>
      </label>
      <button type="submit" class="primary" disabled={!value.trim() || busy}>
        {busy ? "Looking…" : "Look up"}
      </button>
    </form>
  );
}
