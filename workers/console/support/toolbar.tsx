/** What can be done with a timeline: watch it, jump in it, take it along. */
import { useEffect, useRef, useState } from "preact/hooks";
import { requestBlob } from "../shell/api.ts";
import type { Problem } from "../shell/problem.ts";
import { exportPath, type Span, type Subject } from "./address.ts";

export interface ToolbarProps {
  readonly subject: Subject;
  readonly at: string | undefined;
  readonly live: "off" | "on" | "lost";
  readonly copied: boolean;
  onLive(on: boolean): void;
  onJump(at: string | undefined): void;
  onCopy(): void;
  onKeys(): void;
}

const HOUR_MS = 3_600_000;

export function Toolbar({ subject, at, live, copied, onLive, onJump, onCopy, onKeys }: ToolbarProps) {
  const by = (ms: number) => onJump(new Date(Date.parse(at!) + ms).toISOString());
  return (
    <section class="toolbar" aria-label="Timeline">
      {at === undefined ? (
        <button
          type="button"
          class={`live-switch ${live}`}
          aria-pressed={live !== "off"}
          onClick={() => onLive(live === "off")}
        >
          <span class="dot" aria-hidden="true" />
          {live === "lost" ? "Connection lost, trying again" : live === "on" ? "Live" : "Paused"}
        </button>
      ) : (
        <>
          <button type="button" class="primary" onClick={() => onJump(undefined)}>
            Back to now
          </button>
          <button type="button" onClick={() => by(-HOUR_MS)}>
            <span aria-hidden="true">−</span>
            <span class="hidden">back </span>1 h
          </button>
          <button type="button" onClick={() => by(HOUR_MS)}>
            <span aria-hidden="true">+</span>
            <span class="hidden">on </span>1 h
          </button>
        </>
      )}
      <label class="jump">
        <span>Jump to</span>
        <input
          id="jump"
          type="datetime-local"
          step="1"
          value={at === undefined ? "" : localTime(Date.parse(at))}
          onChange={(event) => {
            const ms = Date.parse(event.currentTarget.value);
            if (!Number.isNaN(ms)) onJump(new Date(ms).toISOString());
          }}
        />
      </label>
      <button type="button" onClick={onCopy}>
        <span role="status">{copied ? "Copied" : "Copy for the ticket"}</span>
      </button>
      <ExportMenu subject={subject} />
      <button type="button" class="plain" onClick={onKeys} aria-label="Keys">
        ?
      </button>
    </section>
  );
}

/** As the field wants it: the browser's time, without a zone. */
function localTime(ms: number): string {
  const offsetMs = new Date(ms).getTimezoneOffset() * 60_000;
  return new Date(ms - offsetMs).toISOString().slice(0, 19);
}

const SPANS = [
  { label: "the last hour", ms: HOUR_MS },
  { label: "the last 24 hours", ms: 24 * HOUR_MS },
  { label: "the last 7 days", ms: 7 * 24 * HOUR_MS },
  { label: "the last 30 days", ms: null },
] as const;

function ExportMenu({ subject }: { subject: Subject }) {
  const [chosen, setChosen] = useState(3);
  const [state, setState] = useState<"idle" | "busy" | Problem>("idle");
  const menu = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const outside = (event: Event) => {
      if (menu.current?.open && !menu.current.contains(event.target as Node)) menu.current.open = false;
    };
    const leave = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || !menu.current?.open) return;
      menu.current.open = false;
      menu.current.querySelector("summary")?.focus();
      event.preventDefault();
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("keydown", leave);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("keydown", leave);
    };
  }, []);
  const save = async (format: "json" | "csv") => {
    setState("busy");
    const { ms } = SPANS[chosen]!;
    const span: Span = ms === null ? {} : { from: new Date(Date.now() - ms).toISOString() };
    const file = await requestBlob(exportPath(subject, span, format));
    if (!file.ok) return setState(file.error);
    setState("idle");
    saveFile(file.value, format);
    if (menu.current) menu.current.open = false;
  };
  return (
    <details class="menu" ref={menu}>
      <summary id="export" class="button">
        Export
      </summary>
      <div class="card panel">
        <label>
          Events of
          <select value={chosen} onChange={(event) => setChosen(Number(event.currentTarget.value))}>
            {SPANS.map(({ label }, at) => (
              <option key={label} value={at}>
                {label}
              </option>
            ))}
          </select>
        </label>
        <p class="actions">
          {(["csv", "json"] as const).map((format) => (
            <button key={format} type="button" disabled={state === "busy"} onClick={() => void save(format)}>
              {format.toUpperCase()}
            </button>
          ))}
        </p>
        <p class="quiet" role="status">
          {state === "busy"
            ? "Collecting…"
            : state === "idle"
              ? "With all columns and properties, and what came before the sign-in."
              : [state.title, state.detail].filter(Boolean).join(": ")}
        </p>
      </div>
    </details>
  );
}

function saveFile(file: Blob, extension: string): void {
  const url = URL.createObjectURL(file);
  const link = document.createElement("a");
  link.href = url;
  link.download = `eventpile-events-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.${extension}`;
  link.click();
  // Not at once: the browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
