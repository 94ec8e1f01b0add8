/** Questions to the lake: a statement, its price, its result, and what it took. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { writeClipboard } from "./clipboard.ts";
import { firstStatement, keepDraft, linkHere, showInAddress } from "./draft.ts";
import { Editor, type EditorHandle } from "./editor/editor.tsx";
import { formatSql } from "./editor/format-sql.ts";
import { errorPlace, type Place } from "./error-place.ts";
import type { GridHandle } from "./grid/result-grid.tsx";
import { KeysOverlay } from "./keys.tsx";
import { linkedStatement } from "./link.ts";
import { askedNames } from "./names.ts";
import { Outcome, type Tab } from "./outcome/outcome.tsx";
import { ParameterFields } from "./parameter-fields.tsx";
import { requestParameters } from "./parameter-values.ts";
import { PriceLine } from "./price-line.tsx";
import { SAMPLES } from "./samples.ts";
import { useColumns } from "./side/columns.ts";
import { type Panel, SidePanel } from "./side/side-panel.tsx";
import { type Part, parametersOf } from "./statements.ts";
import { lineOf } from "./text-line.ts";
import { Toolbar } from "./toolbar.tsx";
import { useHistoryWalk } from "./use-history-walk.ts";
import { usePageKeys } from "./use-page-keys.ts";
import { usePrice } from "./use-price.ts";
import { type Asked, useRun } from "./use-run.ts";

export function SqlPage() {
  const editor = useRef<EditorHandle | null>(null);
  const grid = useRef<GridHandle | null>(null);
  const [first] = useState(() => firstStatement(SAMPLES[0]!.sql));
  const tables = useColumns();
  const names = useMemo(askedNames, []);
  const { run, start, cancel } = useRun();
  const walk = useHistoryWalk();
  const [chosen, setChosen] = useState<Part | null>(null);
  const [written, setWritten] = useState(first.parameters);
  const [tab, setTab] = useState<Tab>("rows");
  const [planned, setPlanned] = useState<Asked | null>(null);
  const [panel, setPanel] = useState<Panel>("columns");
  const [place, setPlace] = useState<(Place & { line: number; column: number }) | null>(null);
  const [said, setSaid] = useState("");
  const [showsKeys, setShowsKeys] = useState(false);

  const parameters = useMemo(() => (chosen ? parametersOf(chosen.text) : []), [chosen?.text]);
  const askedOf = ({ text, from }: Part): Asked => {
    const params = requestParameters(parametersOf(text), written);
    return { sql: text, from, ...(params && { params }) };
  };
  const asked = chosen && askedOf(chosen);
  const price = usePrice(
    asked && { sql: asked.sql, ...(asked.params && { params: asked.params }) },
    run.state === "running",
  );

  const show = (statement: Asked) => {
    setPlanned(null);
    setTab((last) => (last === "plan" ? "rows" : last));
    editor.current?.mark(null);
    setPlace(null);
    showInAddress({ sql: editor.current?.text() ?? statement.sql, parameters: written });
    start(statement);
  };
  const onRun = () => {
    const part = editor.current?.chosen();
    if (part) show(askedOf(part));
    return true;
  };
  const onPlan = () => {
    const part = editor.current?.chosen();
    if (!part) return true;
    setPlanned(askedOf(part));
    setTab("plan");
    return true;
  };
  const onFormat = () => {
    const own = editor.current;
    if (!own) return true;
    const before = own.text();
    formatSql(before).then(
      (formatted) => {
        // Whoever went on writing meanwhile keeps what was written.
        if (own.text() !== before) return;
        own.replace({ from: 0, to: before.length, text: before }, formatted);
        setSaid("");
      },
      () => setSaid("The formatter cannot read this statement: is a quote or a bracket open?"),
    );
    return true;
  };
  const onSave = () => {
    setPanel("saved");
    // The field is there after the panel has been drawn.
    requestAnimationFrame(() => document.getElementById("save-name")?.focus());
    return true;
  };
  const onLink = () => {
    const text = editor.current?.text() ?? "";
    const statement = {
      sql: text,
      parameters: Object.fromEntries(parameters.map((name) => [name, written[name] ?? ""])),
    };
    void writeClipboard(linkHere(statement)).then(() => setSaid("The link is copied; it carries the statement"));
    showInAddress(statement);
  };
  const onWalk = (steps: 1 | -1) => {
    if (editor.current) walk.walk(editor.current, steps);
    return true;
  };
  const onUse = (sql: string) => editor.current?.setText(sql);
  const keys = usePageKeys({
    run: onRun,
    plan: onPlan,
    format: onFormat,
    save: onSave,
    older: () => onWalk(1),
    newer: () => onWalk(-1),
    cancel: () => {
      if (run.state !== "running") return false;
      cancel();
      return true;
    },
    switchPane: (inEditor) => {
      if (inEditor) grid.current?.focus();
      else editor.current?.focus();
      return true;
    },
    help: () => {
      setShowsKeys(true);
      return true;
    },
  });

  // Where the server says what is wrong, the editor shows it.
  useEffect(() => {
    if (run.state !== "failed") return;
    const found = errorPlace(run.asked.sql, run.problem.detail ?? "");
    const own = editor.current;
    if (!found || !own) return;
    const { from } = run.asked;
    const text = own.text();
    // The statement may have been changed while it ran.
    if (text.slice(from, from + run.asked.sql.length) !== run.asked.sql) return;
    const inText = { from: from + found.from, to: from + found.to };
    own.mark(inText);
    setPlace({ ...inText, ...lineOf(text, inText) });
  }, [run]);
  useEffect(() => {
    if (said === "") return;
    const timer = setTimeout(() => setSaid(""), 5_000);
    return () => clearTimeout(timer);
  }, [said]);
  // A link that is opened in this window.
  useEffect(() => {
    const follow = () => {
      const linked = linkedStatement(location);
      if (!linked || linked.sql === editor.current?.text()) return;
      setWritten(linked.parameters);
      editor.current?.setText(linked.sql);
    };
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);

  return (
    <>
      <h1 class="hidden">SQL</h1>
      <div class="workbench">
        <div>
          <section class="card statement" aria-label="Statement">
            <Editor
              initial={first.sql}
              tables={tables}
              names={names}
              keys={keys}
              onChange={(handle, textChanged) => {
                setChosen(handle.chosen());
                if (!textChanged) return;
                walk.leave();
                setPlace(null);
                keepDraft(handle.text());
              }}
              onReady={(handle) => {
                editor.current = handle;
                setChosen(handle.chosen());
                // On a phone the focus would bring up the keyboard.
                if (matchMedia("(pointer: fine)").matches) handle.focus();
              }}
            />
            <ParameterFields
              names={parameters}
              written={written}
              onWritten={(name, text) => setWritten((all) => ({ ...all, [name]: text }))}
              onRun={onRun}
            />
            <PriceLine price={price} onPlan={onPlan} />
            <Toolbar
              isRunning={run.state === "running"}
              onRun={onRun}
              onCancel={cancel}
              onFormat={onFormat}
              onSave={onSave}
              onLink={onLink}
              onSample={onUse}
              onKeys={() => setShowsKeys(true)}
            />
            <p class={said ? "said" : "hidden"} role="status">
              {said}
            </p>
          </section>
          <Outcome
            run={run}
            planned={planned}
            tab={tab}
            onTab={(next) => {
              setPlanned(null);
              setTab(next);
            }}
            place={place}
            onShowPlace={() => place && editor.current?.focus(place)}
            onUse={onUse}
            onRetry={() => run.state !== "idle" && show(run.asked)}
            onCancel={cancel}
            onGrid={(handle) => {
              grid.current = handle;
            }}
          />
        </div>
        <SidePanel
          panel={panel}
          onPanel={setPanel}
          tables={tables}
          onInsert={(text) => editor.current?.insert(text)}
          onUse={onUse}
          current={() => editor.current?.text() ?? ""}
        />
      </div>
      <KeysOverlay open={showsKeys} onClose={() => setShowsKeys(false)} />
    </>
  );
}
