/** The statement, in CodeMirror: SQL with the tables' columns to complete, Ctrl or Cmd + Enter runs it. */
import { PostgreSQL, sql } from "@codemirror/lang-sql";
import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { Compartment, Prec } from "@codemirror/state";
import { EditorView, keymap } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { basicSetup } from "codemirror";
import { useEffect, useRef } from "preact/hooks";
import type { Columns } from "./columns.ts";

export interface EditorHandle {
  text(): string;
  setText(text: string): void;
  insert(text: string): void;
}

export interface EditorProps {
  initial: string;
  /** What it completes. */
  tables: Columns;
  onRun(): void;
  onChange(text: string): void;
  onReady(handle: EditorHandle): void;
}

export function Editor({ initial, tables, onRun, onChange, onReady }: EditorProps) {
  const box = useRef<HTMLDivElement>(null);
  const made = useRef<{ view: EditorView; language: Compartment } | null>(null);
  // The view is made once; what it calls is always the newest.
  const calls = useRef({ onRun, onChange });
  calls.current = { onRun, onChange };

  useEffect(() => {
    const language = new Compartment();
    const view = new EditorView({
      doc: initial,
      parent: box.current!,
      extensions: [
        Prec.highest(
          keymap.of([
            {
              key: "Mod-Enter",
              run: () => {
                calls.current.onRun();
                return true;
              },
            },
          ]),
        ),
        basicSetup,
        language.of(languageOf(tables)),
        syntaxHighlighting(highlighting),
        theme,
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ "aria-label": "SQL statement" }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) calls.current.onChange(update.state.doc.toString());
        }),
      ],
    });
    made.current = { view, language };
    onReady({
      text: () => view.state.doc.toString(),
      setText(text) {
        view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, selection: { anchor: 0 } });
        view.focus();
      },
      insert(text) {
        view.dispatch(view.state.replaceSelection(text));
        view.focus();
      },
    });
    return () => view.destroy();
  }, []);
  useEffect(() => {
    const { view, language } = made.current!;
    view.dispatch({ effects: language.reconfigure(languageOf(tables)) });
  }, [tables]);
  return <div class="editor" ref={box} />;
}

function languageOf(tables: Columns) {
  const schema = Object.fromEntries(
    Object.entries(tables).map(([table, columns]) => [
      table,
      columns.map(({ name, type, doc }) => ({ label: name, detail: type, info: doc, type: "property" })),
    ]),
  );
  return sql({ dialect: PostgreSQL, schema, upperCaseKeywords: true });
}

/** Colours are the page's, so that light and dark follow it. */
const highlighting = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--code-keyword)", fontWeight: "600" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--code-text)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--code-number)" },
  { tag: tags.comment, color: "var(--quiet)", fontStyle: "italic" },
  { tag: tags.typeName, color: "var(--code-number)" },
]);

const theme = EditorView.theme({
  "&": { backgroundColor: "transparent", color: "inherit", fontSize: "0.875rem" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.55", minHeight: "11rem", maxHeight: "45vh" },
  ".cm-content": { caretColor: "var(--text)", padding: "0.75rem 0" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-gutters": { backgroundColor: "transparent", color: "var(--quiet)", border: "none" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--shade)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "var(--selection) !important",
  },
  ".cm-selectionMatch": { backgroundColor: "var(--selection)" },
  "&.cm-focused .cm-matchingBracket": { backgroundColor: "var(--selection)", color: "inherit" },
  ".cm-tooltip": { backgroundColor: "var(--surface)", color: "var(--text)", border: "1px solid var(--line)" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on-accent)" },
  ".cm-tooltip.cm-completionInfo": { padding: "0.4rem 0.6rem", maxWidth: "20rem" },
  ".cm-panels": { backgroundColor: "var(--surface)", color: "var(--text)" },
});
