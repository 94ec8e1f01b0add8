/** The address in the address bar, and how to change it. */
import { useCallback, useEffect, useState } from "preact/hooks";
import { type Address, formatAddress, parseAddress } from "./address.ts";

/** `replace`: the address that is left is not gone back to. */
export type Go = (address: Address, replace?: boolean) => void;

export function useAddress(): [Address | null, Go] {
  const [address, setAddress] = useState(() => parseAddress(location.search));
  useEffect(() => {
    const back = () => setAddress(parseAddress(location.search));
    addEventListener("popstate", back);
    return () => removeEventListener("popstate", back);
  }, []);
  const go = useCallback<Go>((next, replace = false) => {
    const query = formatAddress(next);
    if (replace) history.replaceState(null, "", query);
    else if (query !== location.search) history.pushState(null, "", query);
    setAddress(next);
  }, []);
  return [address, go];
}
