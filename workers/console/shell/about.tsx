/** For who is here for the first time: what the pages are for, and how an event gets here. */
import { useRef } from "preact/hooks";
import { PAGES } from "./pages.ts";
import { isLocal } from "./token.ts";

export function About() {
  const dialog = useRef<HTMLDialogElement>(null);
  return (
    <>
      <button type="button" class="plain" aria-haspopup="dialog" onClick={() => dialog.current?.showModal()}>
        About
      </button>
      <dialog ref={dialog} class="about" aria-labelledby="about-title">
        <h2 id="about-title">Every tap and click, three ways to ask</h2>
        <p>
          Apps and sites send what people do. Each event is kept once and put into three stores, one for each kind of
          question; the last page says whether that works.
        </p>
        <dl>
          {PAGES.map(({ name, label, about }) => (
            <div key={name} class="page">
              <dt>
                <a href={`/${name}`}>{label}</a>
              </dt>
              <dd>{about}</dd>
            </div>
          ))}
        </dl>
        {isLocal && (
          <>
            <h3>Send an event of your own</h3>
            <pre>{SEND}</pre>
            <p class="quiet">
              Then look for <code>ada</code> on <a href="/support?user=ada">Support</a>.
            </p>
          </>
        )}
        <form method="dialog">
          <button type="submit" class="primary">
            Close
          </button>
        </form>
      </dialog>
    </>
  );
}

const SEND = `curl ${location.origin}/v1/track -u dev: \\
  -d '{"event": "Hello", "userId": "ada"}'`;
