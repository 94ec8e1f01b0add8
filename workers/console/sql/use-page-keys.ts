/** The page's shortcuts: inside the editor through its keymap, elsewhere through the document. */
import { useEffect, useRef } from "preact/hooks";
import type { EditorKeys } from "./editor/editor.tsx";

/** Each says whether it did something; what did nothing leaves the key to the browser. */
export interface PageActions {
  run(): boolean;
  plan(): boolean;
  format(): boolean;
  save(): boolean;
  older(): boolean;
  newer(): boolean;
  cancel(): boolean;
  switchPane(inEditor: boolean): boolean;
  help(): boolean;
}

/** @returns the editor's part. */
export function usePageKeys(actions: PageActions): EditorKeys {
  const newest = useRef(actions);
  newest.current = actions;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      // The editor, the grid or a dialog had it.
      if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
      const action = actionOf(event);
      if (action?.(newest.current)) event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
  return {
    "Mod-Enter": actions.run,
    "Shift-Mod-Enter": actions.plan,
    "Shift-Mod-f": actions.format,
    "Mod-s": actions.save,
    "Alt-ArrowUp": actions.older,
    "Alt-ArrowDown": actions.newer,
    Escape: actions.cancel,
    F6: () => actions.switchPane(true),
  };
}

function actionOf(event: KeyboardEvent): ((actions: PageActions) => boolean) | null {
  const { key, shiftKey, altKey } = event;
  const mod = event.ctrlKey || event.metaKey;
  if (key === "Escape") return (actions) => actions.cancel();
  if (key === "F6") return (actions) => actions.switchPane(false);
  if (mod && key === "Enter") return (actions) => (shiftKey ? actions.plan() : actions.run());
  if (mod && shiftKey && key.toLowerCase() === "f") return (actions) => actions.format();
  if (mod && !shiftKey && key.toLowerCase() === "s") return (actions) => actions.save();
  if (altKey && key === "ArrowUp") return (actions) => actions.older();
  if (altKey && key === "ArrowDown") return (actions) => actions.newer();
  if (key === "?" && !mod && !isWriting(event.target)) return (actions) => actions.help();
  return null;
}

const isWriting = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
