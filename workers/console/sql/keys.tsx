/** The page's shortcuts, and the overlay that lists them. */
import { useEffect, useRef } from "preact/hooks";

const isMac = /Mac|iP(hone|ad)/.test(navigator.platform);
export const MOD = isMac ? "⌘" : "Ctrl";
const ALT = isMac ? "⌥" : "Alt";
const SHIFT = isMac ? "⇧" : "Shift";

const SHORTCUTS: readonly { title: string; keys: readonly (readonly [keys: string, does: string])[] }[] = [
  {
    title: "Statement",
    keys: [
      [`${MOD} Enter`, "Run the selection, else the statement under the cursor"],
      [`${MOD} ${SHIFT} Enter`, "Show its plan and price without running it"],
      ["Esc", "Cancel what runs"],
      [`${MOD} ${SHIFT} F`, "Format"],
      [`${ALT} ↑  ${ALT} ↓`, "Older, newer statement of the history"],
      [`${MOD} S`, "Save under a name"],
      [`${MOD} Space`, "Complete columns, functions, names of events"],
      [`${MOD} /`, "Comment in and out"],
      [`${MOD} F`, "Find and replace"],
    ],
  },
  {
    title: "Result",
    keys: [
      ["F6", "From the statement to the result, and back"],
      ["Arrows, Page, Home, End", `Move; with ${MOD} to the edge, with ${SHIFT} select`],
      [`${MOD} A`, "Select all"],
      [`${SHIFT} Space  ${MOD} Space`, "Select whole rows, whole columns"],
      [`${MOD} C`, "Copy, for spreadsheets"],
      ["Enter", "Sort by the cursor's column"],
    ],
  },
  { title: "Page", keys: [["?", "These keys, outside of text fields"]] },
];

export function KeysOverlay({ open, onClose }: { open: boolean; onClose(): void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  return (
    <dialog ref={dialog} class="keys" aria-labelledby="keys-title" onClose={onClose}>
      <div class="title">
        <h2 id="keys-title">Keys</h2>
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
      {SHORTCUTS.map(({ title, keys }) => (
        <section key={title}>
          <h3>{title}</h3>
          <dl>
            {keys.map(([key, does]) => (
              <div key={does}>
                <dt>
                  {key.split("  ").map((one) => (
                    <kbd key={one}>{one}</kbd>
                  ))}
                </dt>
                <dd>{does}</dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
    </dialog>
  );
}
