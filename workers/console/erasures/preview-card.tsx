/** Whom a request is about: who was asked for, who else is the same person, and what is others' too. Then the typed word. */
import { useState } from "preact/hooks";
import type { ErasurePreviewJson } from "../../erasure-json.ts";
import { formatCount, formatCounted } from "../shell/format.ts";
import type { Problem } from "../shell/problem.ts";
import { Scroll } from "../shell/scroll.tsx";
import { countsText } from "./erasure-detail.tsx";
import { confirm, type Link, linkKey } from "./erasures.ts";
import { LIST_NAMES, LISTS } from "./identifiers.ts";

interface PreviewProps {
  readonly erasure: ErasurePreviewJson;
  readonly closure: NonNullable<ErasurePreviewJson["closure"]>;
  readonly done: (fault: Problem | null) => void;
}

/** Rows at once; a search finds the others. */
const SHOWN = 100;
const KINDS = { user: "user", device: "device", email: "e-mail" } as const;
const SHARED = { user: "somebody else", device: "others use it", email: "others gave it" } as const;
const WORDS = { erase: "erase", suppress: "keep out" } as const;

export function PreviewCard({ erasure, closure: { links, complete }, done }: PreviewProps) {
  const [taken, setTaken] = useState<ReadonlySet<string>>(
    () => new Set(links.filter(({ shared }) => !shared).map(linkKey)),
  );
  const [sought, seek] = useState("");
  const [typed, type] = useState("");
  const [busy, setBusy] = useState(false);
  const word = WORDS[erasure.mode];
  const found = links.filter(({ id, via }) => id.includes(sought) || via.id.includes(sought));
  const shared = links.filter((link) => link.shared);

  const toggle = (link: Link, isTaken: boolean) =>
    setTaken((known) => {
      const next = new Set(known);
      if (isTaken) next.add(linkKey(link));
      else next.delete(linkKey(link));
      return next;
    });
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    const answer = await confirm(erasure.id, links, taken);
    setBusy(false);
    done(answer.ok ? null : answer.error);
  };
  const chosen = links.filter((link) => taken.has(linkKey(link)));
  const count = (kind: Link["kind"], list: keyof ErasurePreviewJson["asked"]) =>
    erasure.asked[list].length + chosen.filter((link) => link.kind === kind).length;
  const all = {
    users: count("user", "user_ids"),
    devices: count("device", "anonymous_ids"),
    emails: count("email", "emails"),
  };
  return (
    <>
      <section class="card preview">
        <h2>Whom it is about</h2>
        <div class="asked">
          {LIST_NAMES.filter((name) => erasure.asked[name].length > 0).map((name) => (
            <details key={name} open={erasure.asked[name].length <= 5}>
              <summary>
                Asked for: {formatCount(erasure.asked[name].length)}{" "}
                {LISTS[name][erasure.asked[name].length === 1 ? "one" : "many"]}
              </summary>
              <ul>
                {erasure.asked[name].slice(0, SHOWN).map((id) => (
                  <li key={id}>
                    <code>{id}</code>
                  </li>
                ))}
              </ul>
              {erasure.asked[name].length > SHOWN && (
                <p class="quiet">And {formatCount(erasure.asked[name].length - SHOWN)} more.</p>
              )}
            </details>
          ))}
        </div>
        <h3>{links.length === 0 ? "Nobody else is known to be the same person" : "Known to be the same person"}</h3>
        {!complete && (
          <p class="notice" role="alert">
            There may be more: a bound was met before all were followed. Ask for fewer at once, or again afterwards.
          </p>
        )}
        {shared.length > 0 && (
          <p class="notice">
            {formatCounted(shared.length, "link")} {shared.length === 1 ? "is" : "are"} shared with somebody else, whose
            events would go as well. What is shared, and who shares it, stays unless you take it.
          </p>
        )}
        {links.length > SHOWN && (
          <label class="search">
            Find among {formatCount(links.length)}
            <input type="search" value={sought} onInput={(event) => seek(event.currentTarget.value)} />
          </label>
        )}
        {links.length > 0 && (
          <Scroll label="Who else is the same person">
            <table>
              <thead>
                <tr>
                  <th scope="col">Goes</th>
                  <th scope="col">What</th>
                  <th scope="col">Identifier</th>
                  <th scope="col">Found by</th>
                  <th scope="col">Shared</th>
                </tr>
              </thead>
              <tbody>
                {found.slice(0, SHOWN).map((link) => (
                  <tr key={linkKey(link)} class={link.shared ? "shared" : undefined}>
                    <td>
                      <input
                        type="checkbox"
                        class="goes"
                        aria-label={`${KINDS[link.kind]} ${link.id} goes`}
                        checked={taken.has(linkKey(link))}
                        onChange={(event) => toggle(link, event.currentTarget.checked)}
                      />
                    </td>
                    <td>{KINDS[link.kind]}</td>
                    <td>
                      <code>{link.id}</code>
                    </td>
                    <td>
                      {KINDS[link.via.kind]} <code>{link.via.id}</code>
                    </td>
                    <td>{link.shared && <strong class="warn">{SHARED[link.kind]}</strong>}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Scroll>
        )}
        {found.length > SHOWN && <p class="quiet">And {formatCount(found.length - SHOWN)} more; all go as marked.</p>}
      </section>
      <section class="card confirm">
        <h2>Confirm</h2>
        <p>
          <strong>{countsText(all)}</strong>{" "}
          {erasure.mode === "erase"
            ? "will be erased from every store. There is no way back."
            : "will be kept out of every store from now on. There is no way back."}
        </p>
        <form onSubmit={(event) => void submit(event)}>
          <label>
            <span>
              Type <code>{word}</code> to confirm
            </span>
            <input
              autocomplete="off"
              spellcheck={false}
              value={typed}
              onInput={(event) => type(event.currentTarget.value)}
            />
          </label>
          <button type="submit" class="primary" disabled={typed.trim().toLowerCase() !== word || busy}>
            {busy ? "Confirming…" : erasure.mode === "erase" ? "Erase them" : "Keep them out"}
          </button>
        </form>
      </section>
    </>
  );
}
