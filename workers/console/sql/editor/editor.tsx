/** The statement, in CodeMirror. Its own keys are CodeMirror's; those of the page come in as `keys`. */
import { acceptCompletion, type CompletionSource } from "@codemirror/autocomplete";
import { sql } from "@codemirror/lang-sql";
import { syntaxHighlighting } from "@codemirror/language";
import { Compartment, EditorSelection, Prec } from "@codemirror/state";
import { EditorView, keymap } from "@codemirror/view";
import { basicSetup } from "codemirror";
import { useEffect, useRef } from "preact/hooks";
import type { Place } from "../error-place.ts";
import type { Names } from "../names.ts";
import type { Columns } from "../side/columns.ts";
import { chosenPart, type Part } from "../statements.ts";
import { functions, quotedNames } from "./completion.ts";
import { DuckDb } from "./dialect.ts";
import { errorMark, markError } from "./error-mark.ts";
import { highlighting, theme } from "./theme.ts";

export interface EditorHandle {
  /** What Run runs: the selection, else the statement under the cursor. Null without any. */
  chosen(): Part | null;
  text(): string;
  /** In the place of everything; undone in one step. */
  setText(text: string): void;
  replace(part: Part, text: string): void;
  insert(text: string): void;
  /** Where the server found a fault; null clears it. */
  mark(place: Place | null): void;
  /** With the cursor at a place, or where it was. */
  focus(place?: Place): void;
}

/** A key of CodeMirror's keymap, and what it does; false leaves the key to the editor. */
export type EditorKeys = Readonly<Record<string, () => boolean>>;

export interface EditorProps {
  initial: string;
  /** What it completes. */
  tables: Columns;
  names: Names;
  keys: EditorKeys;
  /** After a change of the text or the selection. */
  onChange(handle: EditorHandle, textChanged: boolean): void;
  onReady(handle: EditorHandle): void;
}

export function Editor({ initial, tables, names, keys, onChange, onReady }: EditorProps) {
  const box = useRef<HTMLDivElement>(null);
  const made = useRef<{ view: EditorView; language: Compartment } | null>(null);
  // The view is made once; what it calls is always the newest.
  const calls = useRef({ keys, onChange });
  calls.current = { keys, onChange };

  useEffect(() => {
    const language = new Compartment();
    const view: EditorView = new EditorView({
      doc: initial,
      selection: EditorSelection.cursor(initial.length),
      parent: box.current!,
      extensions: [
        Prec.highest(keymap.of(Object.keys(keys).map((key) => ({ key, run: () => calls.current.keys[key]!() })))),
        // Where nothing is offered, Tab leaves the editor.
        Prec.highest(keymap.of([{ key: "Tab", run: acceptCompletion }])),
        basicSetup,
        language.of(languageOf(tables, names)),
        syntaxHighlighting(highlighting),
        errorMark,
        theme,
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ "aria-label": "SQL statement" }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged || update.selectionSet) calls.current.onChange(handle, update.docChanged);
        }),
      ],
    });
    const handle = handleOf(view);
    made.current = { view, language };
    onReady(handle);
    return () => view.destroy();
  }, []);
  useEffect(() => {
    const { view, language } = made.current!;
    view.dispatch({ effects: language.reconfigure(languageOf(tables, names)) });
  }, [tables, names]);
  return <div class="editor" ref={box} />;
}

function handleOf(view: EditorView): EditorHandle {
  const text = () => view.state.doc.toString();
  return {
    text,
    chosen: () => chosenPart(text(), view.state.selection.main),
    setText(next) {
      view.dispatch({
        changes: { from: 0, to: view.state.doc.length, insert: next },
        selection: { anchor: next.length },
      });
      view.focus();
    },
    replace({ from, to }, next) {
      view.dispatch({ changes: { from, to, insert: next }, selection: { anchor: from + next.length } });
    },
    insert(inserted) {
      view.dispatch(view.state.replaceSelection(inserted));
      view.focus();
    },
    mark: (place) => view.dispatch({ effects: markError.of(place) }),
    focus(place) {
      if (place) view.dispatch({ selection: { anchor: place.from, head: place.to }, scrollIntoView: true });
      view.focus();
    },
  };
}

function languageOf(tables: Columns, names: Names) {
  const schema = Object.fromEntries(
    Object.entries(tables).map(([table, columns]) => [
      table,
      columns.map(({ name, type, doc }) => ({ label: name, detail: type, info: doc || undefined, type: "property" })),
    ]),
  );
  const sources: CompletionSource[] = [functions, quotedNames(names)];
  return [
    sql({ dialect: DuckDb, schema, defaultTable: "events", upperCaseKeywords: true }),
    sources.map((autocomplete) => DuckDb.language.data.of({ autocomplete })),
  ];
}
