/** The frame of every page: name, navigation, who is signed in. Without a token it shows the sign-in form instead. */
import type { ComponentType } from "preact";
import { render } from "preact";
import { About } from "./about.tsx";
import { mayOpen, PAGES, type PageEntry, type PageName } from "./pages.ts";
import { SignIn } from "./sign-in.tsx";
import { signOut, useToken } from "./token.ts";

export type { PageName } from "./pages.ts";

/** Puts a page into the document. */
export function mount(name: PageName, Page: ComponentType): void {
  render(<Shell name={name} Page={Page} />, document.getElementById("root")!);
}

function Shell({ name, Page }: { name: PageName; Page: ComponentType }) {
  const { value, scopes } = useToken();
  const here = PAGES.find((page) => page.name === name)!;
  return (
    <>
      <a class="skip" href="#main">
        Skip to the page
      </a>
      <header class="bar">
        <a class="brand" href="/live">
          <svg viewBox="0 0 32 32" aria-hidden="true">
            <path d="M5 25h22M8.5 19h15M12 13h8M14.7 7h2.6" />
          </svg>
          eventpile
        </a>
        <nav aria-label="Pages">
          {PAGES.map((page) => (
            <PageLink key={page.name} page={page} isHere={page === here} isOpen={mayOpen(page, scopes)} />
          ))}
        </nav>
        <About />
        {value !== null && (
          <button type="button" class="plain" onClick={signOut}>
            Sign out
          </button>
        )}
        <p class="purpose">{here.purpose}</p>
      </header>
      {/* The key makes a page of another user start anew. */}
      <main id="main" tabIndex={-1} class={`page-${name}`}>
        {value === null ? <SignIn /> : <Page key={value} />}
      </main>
    </>
  );
}

/** A page that the token does not open stays a link: it says there what is missing, and who to ask. */
function PageLink({ page, isHere, isOpen }: { page: PageEntry; isHere: boolean; isOpen: boolean }) {
  return (
    <a
      href={`/${page.name}`}
      title={isOpen ? page.purpose : `This token lacks the scope ${page.scope}`}
      class={isOpen ? undefined : "closed"}
      aria-current={isHere ? "page" : undefined}
    >
      {page.label}
      {!isOpen && (
        <>
          <svg viewBox="0 0 16 16" class="lock" aria-hidden="true">
            <path d="M3.5 7.5h9v6h-9zM5.5 7V5a2.5 2.5 0 0 1 5 0v2" />
          </svg>
          <span class="hidden"> (not with this token)</span>
        </>
      )}
    </a>
  );
}
