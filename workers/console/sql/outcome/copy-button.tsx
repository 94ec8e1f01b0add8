/** Copies a text and says so. */
import { useEffect, useState } from "preact/hooks";
import { writeClipboard } from "../clipboard.ts";

export function CopyButton({ text, label }: { text: string; label: string }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), 2_000);
    return () => clearTimeout(timer);
  }, [done]);
  return (
    <button type="button" onClick={() => void writeClipboard(text).then(() => setDone(true))}>
      <span role="status">{done ? "Copied" : label}</span>
    </button>
  );
}
