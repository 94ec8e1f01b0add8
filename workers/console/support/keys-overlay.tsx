/** The page's keys, listed. */
import { useEffect, useRef } from "preact/hooks";

const KEYS = [
  ["/", "Into the box"],
  ["j  ↓   k  ↑", "Next older, next newer event"],
  ["n   p", "Older, newer session"],
  ["Enter", "Open or close the event"],
  ["c", "Copy for the ticket: the event with what led to it"],
  ["t", "To the newest events"],
  ["l", "Live on or off"],
  ["g", "Jump to a moment"],
  ["e", "Export"],
  ["Esc", "Out of a field; close what is open"],
  ["?", "These keys"],
] as const;

export function KeysOverlay({ open, onClose }: { open: boolean; onClose(): void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  return (
    <dialog ref={dialog} class="support-keys" aria-labelledby="keys-title" onClose={onClose}>
      <div class="title">
        <h2 id="keys-title">Keys</h2>
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
      <dl>
        {KEYS.map(([keys, does]) => (
          <div key={does}>
            <dt>
              {keys.split(/ +/).map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
    </dialog>
  );
}
