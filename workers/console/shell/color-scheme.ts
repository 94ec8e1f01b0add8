import { useEffect, useState } from "preact/hooks";

/** Changes when light turns dark or back: a canvas does not follow CSS variables and has to be drawn anew. */
export function useColorScheme(): number {
  const [changes, setChanges] = useState(0);
  useEffect(() => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const change = () => setChanges((count) => count + 1);
    dark.addEventListener("change", change);
    return () => dark.removeEventListener("change", change);
  }, []);
  return changes;
}
