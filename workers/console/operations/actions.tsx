/** A button that asks the server to do something, says that it is under way, and what went wrong. */
import { useState } from "preact/hooks";
import { request } from "../shell/api.ts";
import type { Problem } from "../shell/problem.ts";

export interface Action {
  readonly label: string;
  readonly path: string;
  readonly done: () => void;
  /** Asked first, where it cannot be taken back. */
  readonly question?: string;
}

export function ActionButton({ label, path, done, question }: Action) {
  const [state, setState] = useState<"ready" | "busy" | Problem>("ready");
  const act = async () => {
    if (question !== undefined && !confirm(question)) return;
    setState("busy");
    const answer = await request(path, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" });
    setState(answer.ok ? "ready" : answer.error);
    done();
  };
  return (
    <>
      <button type="button" disabled={state === "busy"} onClick={() => void act()}>
        {state === "busy" ? `${label}…` : label}
      </button>
      {typeof state === "object" && (
        <span class="warn" role="alert">
          {state.title}
          {state.detail ? `: ${state.detail}` : ""}
        </span>
      )}
    </>
  );
}
