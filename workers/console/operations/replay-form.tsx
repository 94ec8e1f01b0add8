/** Starts a replay: which sinks, which time, and whether to fill what is missing or to build anew. */
import { useState } from "preact/hooks";
import { SINKS, type SinkName } from "../../../durable-objects/sink-cursor/api.ts";
import { request } from "../shell/api.ts";
import type { Problem } from "../shell/problem.ts";
import { SINK_LABELS } from "./health.ts";

const MODES = {
  fill: "Fill: apply what is missing",
  rebuild: "Rebuild: build anew beside the live one, then swap",
} as const;

export function ReplayForm({ started }: { started: () => void }) {
  const [sinks, setSinks] = useState<readonly SinkName[]>(["rollups"]);
  const [mode, setMode] = useState<keyof typeof MODES>("fill");
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  const [state, setState] = useState<"ready" | "busy" | Problem>("ready");

  const submit = async (event: Event) => {
    event.preventDefault();
    setState("busy");
    const time = (local: string) => (local === "" ? undefined : new Date(local).toISOString());
    const body = JSON.stringify({ sinks, mode, from: time(from), to: time(to) });
    const headers = { "content-type": "application/json" };
    const answer = await request("/v1/replays", { method: "POST", headers, body });
    setState(answer.ok ? "ready" : answer.error);
    if (answer.ok) started();
  };

  return (
    <details>
      <summary>Start a replay</summary>
      <form class="replay-form" onSubmit={(event) => void submit(event)}>
        <fieldset class="wide">
          <legend>Sinks</legend>
          <div class="checks">
            {SINKS.map((sink) => (
              <label key={sink}>
                <input
                  type="checkbox"
                  checked={sinks.includes(sink)}
                  onChange={(event) =>
                    setSinks(event.currentTarget.checked ? [...sinks, sink] : sinks.filter((one) => one !== sink))
                  }
                />
                {SINK_LABELS[sink]}
              </label>
            ))}
          </div>
        </fieldset>
        <label>
          Mode
          <select value={mode} onChange={(event) => setMode(event.currentTarget.value as keyof typeof MODES)}>
            {Object.entries(MODES).map(([name, label]) => (
              <option key={name} value={name}>
                {label}
              </option>
            ))}
          </select>
        </label>
        <label>
          From
          <input type="datetime-local" value={from} onInput={(event) => setFrom(event.currentTarget.value)} />
        </label>
        <label>
          To
          <input type="datetime-local" value={to} onInput={(event) => setTo(event.currentTarget.value)} />
        </label>
        <button type="submit" class="primary" disabled={sinks.length === 0 || state === "busy"}>
          {state === "busy" ? "Starting…" : "Start"}
        </button>
        <p class="quiet wide">
          Without times all of the log is read. A replay is slowed down while live traffic needs the room.
        </p>
        {typeof state === "object" && (
          <p class="notice wide" role="alert">
            {state.title}
            {state.detail ? `: ${state.detail}` : ""}
          </p>
        )}
      </form>
    </details>
  );
}
