/** Asks for a token, and lets it in only once the server has said that it knows it. */
import { useState } from "preact/hooks";
import { readProblem, UNREACHABLE } from "./problem.ts";
import { isLocal, LOCAL_TOKEN, signIn, useToken } from "./token.ts";

export function SignIn() {
  const { rejected } = useToken();
  const [value, setValue] = useState(isLocal ? LOCAL_TOKEN : "");
  const [stay, setStay] = useState(true);
  const [state, setState] = useState<"ready" | "busy" | { readonly wrong: string }>(
    rejected === null ? "ready" : { wrong: REJECTED },
  );
  const submit = async (event: Event) => {
    event.preventDefault();
    const token = value.trim();
    if (!token) return;
    setState("busy");
    const answer = await askFor(token);
    if ("scopes" in answer) signIn(token, { stay, scopes: answer.scopes });
    else setState(answer);
  };
  return (
    <form class="card sign-in" onSubmit={(event) => void submit(event)}>
      <h1>Sign in</h1>
      {typeof state === "object" && (
        <p class="notice" role="alert">
          {state.wrong}
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
      <label class="stay">
        <input type="checkbox" checked={stay} onChange={(event) => setStay(event.currentTarget.checked)} />
        Stay signed in on this browser
      </label>
      <button type="submit" class="primary" disabled={!value.trim() || state === "busy"}>
        {state === "busy" ? "Signing in…" : "Sign in"}
      </button>
      <p class="quiet">
        {isLocal ? (
          <>
            This is a local run: its token is <code>{LOCAL_TOKEN}</code>, for every page.
          </>
        ) : (
          "Whoever runs this eventpile issues tokens; each opens the pages that it was issued for."
        )}
      </p>
    </form>
  );
}

const REJECTED = "The token was not accepted. It may have been mistyped or withdrawn.";

async function askFor(token: string): Promise<{ scopes: readonly string[] } | { wrong: string }> {
  try {
    const response = await fetch("/v1/token", { headers: { Authorization: `Bearer ${token}` } });
    if (response.ok) return (await response.json()) as { scopes: readonly string[] };
    const { status, title } = await readProblem(response);
    return { wrong: status === 401 ? REJECTED : `${title}. Try again in a moment.` };
  } catch {
    return { wrong: `${UNREACHABLE.title}. ${UNREACHABLE.detail}` };
  }
}
