/** The statement that is being written: from the address where it carries one, else as it was left in this browser. */
import { type LinkedStatement, linkedStatement, linkTo } from "./link.ts";

const KEY = "eventpile.console.sql";

/** @param otherwise for whoever comes here the first time. */
export function firstStatement(otherwise: string): LinkedStatement {
  return linkedStatement(location) ?? { sql: readDraft() ?? otherwise, parameters: {} };
}

export function linkHere(statement: LinkedStatement): string {
  return linkTo(`${location.origin}${location.pathname}`, statement);
}

/** The address says what was run, so that it can be copied, bookmarked and loaded again. */
export function showInAddress(statement: LinkedStatement): void {
  window.history.replaceState(null, "", linkHere(statement));
}

/** What is written now is not what the address says: loading the page again must not lose it. */
export function keepDraft(text: string): void {
  try {
    localStorage.setItem(KEY, text);
  } catch {
    // Blocked or full: the draft lives as long as the page.
  }
  if (location.hash !== "" || location.search !== "") window.history.replaceState(null, "", location.pathname);
}

function readDraft(): string | null {
  try {
    return localStorage.getItem(KEY) || null;
  } catch {
    return null;
  }
}
