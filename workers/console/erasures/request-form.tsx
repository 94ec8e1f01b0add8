/** A new request: identifiers pasted or from a file, and what is to become of them. Nothing is changed by it yet. */
import { useState } from "preact/hooks";
import { ERASURE } from "../../../r2-layout/limits.ts";
import type { ErasurePreviewJson } from "../../erasure-json.ts";
import { formatCount, formatCounted } from "../shell/format.ts";
import type { Problem } from "../shell/problem.ts";
import { ask, type Mode } from "./erasures.ts";
import { identifiersOf, LIST_NAMES, LISTS, type ListName, NO_TEXTS } from "./identifiers.ts";

const MODES: Readonly<Record<Mode, { readonly label: string; readonly means: string }>> = {
  erase: {
    label: "Erase",
    means: "Everything about them is taken out of every store, and what still comes about them is kept out.",
  },
  suppress: { label: "Keep out", means: "What is stored stays; what comes about them from now on is kept out." },
};

export function RequestForm({ asked }: { asked: (erasure: ErasurePreviewJson) => void }) {
  const [texts, setTexts] = useState(NO_TEXTS);
  const [mode, setMode] = useState<Mode>("erase");
  const [state, setState] = useState<"ready" | "busy" | Problem>("ready");
  const { lists, count, repeated, fault } = identifiersOf(texts);

  const set = (name: ListName, text: string) => setTexts((known) => ({ ...known, [name]: text }));
  const submit = async (event: Event) => {
    event.preventDefault();
    setState("busy");
    const answer = await ask(lists, mode);
    setState(answer.ok ? "ready" : answer.error);
    if (answer.ok) {
      setTexts(NO_TEXTS);
      asked(answer.value);
    }
  };
  return (
    <section class="card request-form">
      <h2>New request</h2>
      <p class="quiet">
        One identifier a line, {formatCount(ERASURE.identifiers)} at most: however many, they are one pass over each
        store. Who else is the same person is shown next, before anything is confirmed.
      </p>
      <form onSubmit={(event) => void submit(event)}>
        <fieldset>
          <legend>What is to become of them</legend>
          <div class="choice">
            {(Object.keys(MODES) as Mode[]).map((name) => (
              <label key={name}>
                <input type="radio" name="mode" checked={mode === name} onChange={() => setMode(name)} />
                {MODES[name].label}
              </label>
            ))}
          </div>
          <p class="quiet">{MODES[mode].means}</p>
        </fieldset>
        <div class="lists">
          {LIST_NAMES.map((name) => (
            <List key={name} name={name} text={texts[name]} set={set} isWrong={fault?.list === name} />
          ))}
        </div>
        <div class="actions">
          <button type="submit" class="primary" disabled={count === 0 || fault !== null || state === "busy"}>
            {state === "busy" ? "Looking for who they are…" : "Show whom it is about"}
          </button>
          <p class="quiet" role="status">
            {formatCounted(count, "identifier")}
            {repeated > 0 && `, ${formatCounted(repeated, "line")} said twice`}
          </p>
        </div>
        {fault && (
          <p class="notice" role="alert" id="fault">
            {fault.text}
          </p>
        )}
        {typeof state === "object" && (
          <p class="notice" role="alert">
            {[state.title, state.detail].filter(Boolean).join(": ")}
          </p>
        )}
      </form>
    </section>
  );
}

interface ListProps {
  readonly name: ListName;
  readonly text: string;
  readonly set: (name: ListName, text: string) => void;
  readonly isWrong: boolean;
}

function List({ name, text, set, isWrong }: ListProps) {
  const { label } = LISTS[name];
  const read = async (input: HTMLInputElement) => {
    const file = input.files?.[0];
    if (!file) return;
    const lines = await file.text();
    set(name, text.trim() === "" ? lines : `${text.trimEnd()}\n${lines}`);
    input.value = "";
  };
  return (
    <div class="list">
      <label>
        {label}
        <textarea
          rows={5}
          spellcheck={false}
          autocomplete="off"
          value={text}
          aria-invalid={isWrong}
          aria-describedby={isWrong ? "fault" : undefined}
          onInput={(event) => set(name, event.currentTarget.value)}
        />
      </label>
      <label class="file">
        from a file
        <input
          type="file"
          accept=".txt,.csv,text/plain"
          aria-label={`${label} from a file`}
          onChange={(event) => void read(event.currentTarget)}
        />
      </label>
    </div>
  );
}
