/** The page's address as state: what is changed goes into the history, and the browser's back leads back. */
import { useCallback, useEffect, useState } from "preact/hooks";
import { type Address, readAddress, writeAddress } from "./address.ts";

export function useAddress(): [Address, (change: Partial<Address>) => void] {
  const [address, setAddress] = useState(() => readAddress(location.search));
  useEffect(() => {
    const back = () => setAddress(readAddress(location.search));
    addEventListener("popstate", back);
    return () => removeEventListener("popstate", back);
  }, []);
  const change = useCallback((given: Partial<Address>) => {
    const next = { ...readAddress(location.search), ...given };
    history.pushState(null, "", `${location.pathname}${writeAddress(next)}`);
    setAddress(next);
  }, []);
  return [address, change];
}
