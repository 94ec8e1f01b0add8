/** Older and newer statements of the history, one key away; what was being written comes back at the newest end. */
import { useRef } from "preact/hooks";
import type { EditorHandle } from "./editor/editor.tsx";
import { history } from "./history.ts";

export interface HistoryWalk {
  /** @param steps 1 is older, -1 newer. */
  walk(editor: EditorHandle, steps: 1 | -1): void;
  /** The text was changed by hand: the next step begins at the newest again. */
  leave(): void;
}

export function useHistoryWalk(): HistoryWalk {
  const state = useRef({ at: -1, draft: "", statements: [] as readonly string[], isWalking: false });
  return {
    walk(editor, steps) {
      const own = state.current;
      if (own.at === -1) {
        own.draft = editor.text();
        own.statements = history.read().map(({ sql }) => sql);
        // The newest is often what stands there already.
        if (own.statements[0]?.trim() === own.draft.trim()) own.statements = own.statements.slice(1);
      }
      const at = Math.max(-1, Math.min(own.at + steps, own.statements.length - 1));
      if (at === own.at) return;
      own.at = at;
      own.isWalking = true;
      editor.setText(at === -1 ? own.draft : own.statements[at]!);
      own.isWalking = false;
    },
    leave() {
      if (!state.current.isWalking) state.current.at = -1;
    },
  };
}
