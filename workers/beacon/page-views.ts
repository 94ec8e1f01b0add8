/** Calls `view` when the address changes without a load: pushState, replaceState, back and forward. */
export function watchAddress(view: () => void): void {
  const address = () => location.href.split("#")[0];
  let last = address();
  const look = () => {
    if (last === address()) return;
    last = address();
    // The router sets the title after it has pushed.
    setTimeout(view);
  };
  for (const method of ["pushState", "replaceState"] as const) {
    const original = history[method];
    history[method] = function (this: History, ...args) {
      original.apply(this, args);
      look();
    };
  }
  addEventListener("popstate", look);
}
