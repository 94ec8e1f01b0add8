/** What a part of a page shows when it has no data: each says what to do next. */
import type { ComponentChildren } from "preact";
import { mayOpen, PAGES } from "./pages.ts";
import type { Problem } from "./problem.ts";
import { signOut, useToken } from "./token.ts";

export function Loading({ what }: { what: string }) {
  return (
    <div class="state" role="status">
      <span class="spinner" aria-hidden="true" />
      <p>Loading {what}…</p>
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="state">
      <h3>{title}</h3>
      {children}
    </div>
  );
}

export function Failed({ problem, scope, retry }: { problem: Problem; scope: string; retry?: () => void }) {
  return (
    <div class="state failed" role="alert">
      <h3>{problem.status === 403 ? "This token may not see this" : problem.title}</h3>
      {problem.detail?.includes("\n") && problem.status !== 403 ? (
        <pre>{problem.detail}</pre>
      ) : (
        <p>{advice(problem, scope)}</p>
      )}
      <p class="quiet">
        <code>{problem.reason}</code>
        {problem.status > 0 && ` · HTTP ${problem.status}`}
      </p>
      {problem.status === 403 && <Elsewhere />}
      {retry && problem.status !== 403 && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** What the token does open, and the way to use another. */
function Elsewhere() {
  const { scopes } = useToken();
  const open = scopes === null ? [] : PAGES.filter((page) => mayOpen(page, scopes));
  return (
    <>
      {open.length > 0 && (
        <p>
          It opens{" "}
          {open.map(({ name, label }, i) => (
            <>
              {i > 0 && ", "}
              <a href={`/${name}`}>{label}</a>
            </>
          ))}
          .
        </p>
      )}
      <button type="button" onClick={signOut}>
        Use another token
      </button>
    </>
  );
}

function advice(problem: Problem, scope: string) {
  if (problem.status === 403) {
    return (
      <>
        It needs the scope <code>{scope}</code>. Sign in with a token that has it, or ask whoever issues tokens to add
        it.
      </>
    );
  }
  if (problem.detail) return problem.detail;
  if (problem.retryAfterS) return `Try again in ${problem.retryAfterS} s.`;
  return problem.status >= 500 ? "The fault is on the server's side; trying again in a moment may help." : "";
}
