/** Whom to look up, and how far back. */
import { useEffect, useState } from "preact/hooks";
import type { Lookup, SubjectKind } from "./timeline-data.ts";
import { MINUTES_DEFAULT } from "./use-lookup.ts";

const SPANS = [
  { minutes: 15, label: "last 15 minutes" },
  { minutes: 60, label: "last hour" },
  { minutes: 24 * 60, label: "last 24 hours" },
  { minutes: 7 * 24 * 60, label: "last 7 days" },
  { minutes: 30 * 24 * 60, label: "last 30 days" },
] as const;

export function LookupForm({ lookup, onLookup }: { lookup: Lookup | null; onLookup(lookup: Lookup): void }) {
  const [kind, setKind] = useState<SubjectKind>(lookup?.kind ?? "user");
  const [id, setId] = useState(lookup?.id ?? "");
  const [minutes, setMinutes] = useState(lookup?.minutes ?? MINUTES_DEFAULT);
  useEffect(() => {
    if (!lookup) return;
    setKind(lookup.kind);
    setId(lookup.id);
    setMinutes(lookup.minutes);
  }, [lookup]);

  const submit = (event: Event) => {
    event.preventDefault();
    if (id.trim()) onLookup({ kind, id: id.trim(), minutes });
  };
  const changeMinutes = (value: number) => {
    setMinutes(value);
    if (lookup && id.trim() === lookup.id && kind === lookup.kind) onLookup({ ...lookup, minutes: value });
  };
  const spans = SPANS.some((span) => span.minutes === minutes)
    ? SPANS
    : [...SPANS, { minutes, label: `last ${minutes} minutes` }];
  return (
    <form class="card lookup" onSubmit={submit}>
      <fieldset class="choice">
        <legend class="hidden">Look up by</legend>
        {(["user", "device"] as const).map((value) => (
          <label key={value}>
            <input type="radio" name="kind" checked={kind === value} onChange={() => setKind(value)} />
            {value === "user" ? "User" : "Device"}
          </label>
        ))}
      </fieldset>
      <label class="id">
        <span class="hidden">{kind === "user" ? "User id" : "Device (anonymous id)"}</span>
        <input
          type="search"
          name="id"
          autocomplete="off"
          spellcheck={false}
          autofocus={!lookup}
          placeholder={kind === "user" ? "User id, as your application names it" : "Device: the anonymous id"}
          value={id}
          onInput={(event) => setId(event.currentTarget.value)}
        />
      </label>
      <label>
        <span class="hidden">How far back</span>
        <select value={minutes} onChange={(event) => changeMinutes(Number(event.currentTarget.value))}>
          {spans.map((span) => (
            <option key={span.minutes} value={span.minutes}>
              {span.label}
            </option>
          ))}
        </select>
      </label>
      <button type="submit" class="primary" disabled={!id.trim()}>
        Look up
      </button>
    </form>
  );
}
