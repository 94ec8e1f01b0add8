/** The frame of every page: name, navigation, who is signed in. Without a token it shows the sign-in form instead. */
import type { ComponentType } from "preact";
import { render } from "preact";
import { useState } from "preact/hooks";
import { isLocal, LOCAL_TOKEN, signIn, signOut, useToken } from "./token.ts";

const PAGES = [
  { name: "live", label: "Live" },
  { name: "support", label: "Support" },
  { name: "sql", label: "SQL" },
  { name: "operations", label: "Operations" },
] as const;
export type PageName = (typeof PAGES)[number]["name"];

/** Puts a page into the document. */
export function mount(name: PageName, Page: ComponentType): void {
  render(<Shell name={name} Page={Page} />, document.getElementById("root")!);
}

function Shell({ name, Page }: { name: PageName; Page: ComponentType }) {
  const { value } = useToken();
  return (
    <>
      <header class="bar">
        <a class="brand" href="/live">
          <svg viewBox="0 0 32 32" aria-hidden="true">
            <path d="M5 25h22M8.5 19h15M12 13h8M14.7 7h2.6" />
          </svg>
          eventpile
        </a>
        <nav aria-label="Pages">
          {PAGES.map((page) => (
            <a key={page.name} href={`/${page.name}`} aria-current={page.name === name ? "page" : undefined}>
              {page.label}
            </a>
          ))}
        </nav>
        {value !== null && (
          <button type="button" class="plain" onClick={signOut}>
            Sign out
          </button>
        )}
      </header>
      {/* The key makes a page of another user start anew. */}
      <main class={`page-${name}`}>{value === null ? <SignIn /> : <Page key={value} />}</main>
    </>
  );
}

function SignIn() {
  const { rejected } = useToken();
  const [value, setValue] = useState(isLocal ? LOCAL_TOKEN : "");
  const submit = (event: Event) => {
    event.preventDefault();
    if (value.trim()) signIn(value.trim());
  };
  return (
    <form class="card sign-in" onSubmit={submit}>
      <h1>Sign in</h1>
      {rejected !== null && (
        <p class="notice" role="alert">
          The token was not accepted. It may have been mistyped or withdrawn.
        </p>
      )}
      <label>
        Access token
        <input
          type="password"
          autocomplete="current-password"
          value={value}
          onInput={(event) => setValue(event.currentTarget.value)}
        />
      </label>
      <button type="submit" class="primary" disabled={!value.trim()}>
        Sign in
      </button>
      <p class="quiet">
        {isLocal ? (
          <>
            This is a local run: its token is <code>{LOCAL_TOKEN}</code>.
          </>
        ) : (
          "Whoever runs this eventpile issues tokens. It is kept in this browser until you sign out."
        )}
      </p>
    </form>
  );
}
