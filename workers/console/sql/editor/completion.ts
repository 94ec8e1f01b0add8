/** What is offered beside keywords, tables and columns: functions, and in quotes the names of events and properties. */
import {
  type Completion,
  type CompletionContext,
  type CompletionResult,
  type CompletionSource,
  insertCompletionText,
} from "@codemirror/autocomplete";
import { syntaxTree } from "@codemirror/language";
import type { EditorView } from "@codemirror/view";
import { FUNCTION_DOCS } from "../../../query/functions/function-docs.ts";
import { FUNCTIONS } from "../../../query/plan/allowed-functions.ts";
import type { Names } from "../names.ts";

/** Before a quote that was just opened: what is compared with an event's name. */
const EVENT_NAME =
  /\bevent_name"?\s*(?:=|==|<>|!=|(?:not\s+)?i?like|(?:not\s+)?in\s*\((?:\s*'[^']*'\s*,)*)\s*'([^']*)$/i;
const PROPERTY =
  /\b(?:properties"?\s*\[\s*|(?:element_at|map_extract|map_contains|json_extract(?:_string)?)\s*\(\s*properties\s*,\s*|prop\w*\s*\(\s*)'([^']*)$/i;
/** A condition on a name is written in one breath. */
const LOOK_BACK = 400;

/** @param names asked for when they are first needed. */
export function quotedNames(names: Names): CompletionSource {
  return async (context) => {
    const before = context.state.sliceDoc(Math.max(0, context.pos - LOOK_BACK), context.pos);
    const event = EVENT_NAME.exec(before);
    const found = event ?? PROPERTY.exec(before);
    if (!found) return null;
    const offered = await (event ? names.events() : names.properties());
    if (context.aborted || offered.length === 0) return null;
    return {
      from: context.pos - found[1]!.length,
      options: offered.map(({ name, detail }) => ({ label: name, detail, type: "text", apply: applyQuoted })),
      validFor: /^[^'\n]*$/,
    };
  };
}

/** The name with its quotes doubled, and the closing one where it is missing. */
function applyQuoted(view: EditorView, { label }: Completion, from: number, to: number): void {
  const closed = view.state.sliceDoc(to, to + 1) === "'";
  const text = `${label.replaceAll("'", "''")}'`;
  view.dispatch(insertCompletionText(view.state, text, from, closed ? to + 1 : to));
}

/** DuckDB's own are known by their names; ours say what they do. */
const documented = new Map(FUNCTION_DOCS.map((doc) => [doc.name, doc]));

const functionOptions: readonly Completion[] = [...FUNCTIONS].filter(isWord).map((name) => {
  const doc = documented.get(name);
  return {
    label: name,
    detail: `(${doc?.args ?? ""})`,
    ...(doc && { info: `${doc.doc} Example: ${doc.example}` }),
    type: "function",
    // Behind keywords and columns, which are fewer.
    boost: doc ? -40 : -50,
    apply: applyCall,
  };
});

/** An operator is no word to complete. */
function isWord(name: string): boolean {
  return /^\w+$/.test(name);
}

const NO_CALLS_IN = /String|Comment|Quoted/;

export function functions(context: CompletionContext): CompletionResult | null {
  const word = context.matchBefore(/[A-Za-z_]\w*$/);
  if (!word || (word.text.length < 2 && !context.explicit)) return null;
  if (context.state.sliceDoc(word.from - 1, word.from) === ".") return null;
  if (NO_CALLS_IN.test(syntaxTree(context.state).resolveInner(context.pos, -1).name)) return null;
  return { from: word.from, options: functionOptions, validFor: /^\w*$/ };
}

/** With its brackets, the cursor between them. */
function applyCall(view: EditorView, { label }: Completion, from: number, to: number): void {
  const called = view.state.sliceDoc(to, to + 1) === "(";
  const insert = called ? label : `${label}()`;
  view.dispatch({
    changes: { from, to, insert },
    selection: { anchor: from + label.length + 1 },
    userEvent: "input.complete",
  });
}
