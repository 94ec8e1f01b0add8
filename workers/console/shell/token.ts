/**
 * The access token, remembered in this browser or, where that is not wanted, in this tab. A local run has one that
 * everybody knows: it is used unasked.
 */
import { useEffect, useState } from "preact/hooks";

const KEY = "eventpile.console.token";
export const LOCAL_TOKEN = "dev-admin";
export const isLocal = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);

type Listener = () => void;
const listeners = new Set<Listener>();

/** What was remembered in this tab comes first: it is newer, or meant for it alone. Null: nothing; empty: signed out. */
const remembered = (): string | null => stored("sessionStorage") ?? stored("localStorage");

interface Token {
  /** Null: nobody is signed in. Empty: somebody is, without a token. */
  readonly value: string | null;
  /** The token that the server last refused. */
  readonly rejected: string | null;
  /** What it may do; null while the server has not said so. */
  readonly scopes: readonly string[] | null;
}

/** In place of a token: Cloudflare Access, in front of the edge, says who it is. */
const BY_ACCESS = "";

export const token: Token = {
  value: (remembered() ?? (isLocal ? LOCAL_TOKEN : "")) || null,
  rejected: null,
  scopes: null,
};
void (token.value === null && remembered() === null ? trySignInByAccess() : learnScopes());

function set(change: Partial<Token>): void {
  Object.assign(token, change);
  for (const listener of listeners) listener();
}

export interface SignedIn {
  /** Whether the browser remembers it beyond this tab. */
  readonly stay: boolean;
  readonly scopes: readonly string[];
}

export function signIn(value: string, { stay, scopes }: SignedIn): void {
  store("sessionStorage", stay ? null : value);
  if (stay) store("localStorage", value);
  set({ value, rejected: null, scopes });
}

export function signOut(): void {
  // It would sign in again by itself.
  if (token.value === BY_ACCESS) {
    location.assign("/cdn-cgi/access/logout");
    return;
  }
  store("sessionStorage", null);
  // Empty, not absent: a local run must not sign in again by itself.
  store("localStorage", "");
  set({ value: null, rejected: null, scopes: null });
}

/** The server refused it. Ignored for a token that is no longer the one in use. */
export function rejectToken(value: string): void {
  if (token.value === value) set({ value: null, rejected: value, scopes: null });
}

/** Where nothing is in front of the edge, or nothing is granted, the form asks for a token. */
async function trySignInByAccess(): Promise<void> {
  try {
    const response = await fetch("/v1/token");
    if (!response.ok || token.value !== null) return;
    const { scopes } = (await response.json()) as { scopes: readonly string[] };
    set({ value: BY_ACCESS, scopes });
  } catch {
    // Unreachable: so will be what the form asks.
  }
}

/** Without an answer nothing is held back: each page finds out by itself. */
async function learnScopes(): Promise<void> {
  const { value } = token;
  if (value === null) return;
  try {
    const response = await fetch("/v1/token", { headers: { Authorization: `Bearer ${value}` } });
    if (response.status === 401) return rejectToken(value);
    if (!response.ok) return;
    const { scopes } = (await response.json()) as { scopes: readonly string[] };
    if (token.value === value) set({ scopes });
  } catch {
    // Unreachable: the page says so.
  }
}

function stored(name: "localStorage" | "sessionStorage"): string | null {
  try {
    return window[name].getItem(KEY);
  } catch {
    return null;
  }
}

function store(name: "localStorage" | "sessionStorage", value: string | null): void {
  try {
    if (value === null) window[name].removeItem(KEY);
    else window[name].setItem(KEY, value);
  } catch {
    // Blocked: remembered until the page closes.
  }
}

export function useToken(): Token {
  const [, render] = useState(0);
  useEffect(() => {
    const listener = () => render((count) => count + 1);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, []);
  return token;
}
