/** The access token, remembered in this browser. A local run has one that everybody knows: it is used unasked. */
import { useEffect, useState } from "preact/hooks";

const KEY = "eventpile.console.token";
export const LOCAL_TOKEN = "dev-admin";
export const isLocal = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);

type Listener = () => void;
const listeners = new Set<Listener>();

const remembered = (): string | null => {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
};

/** `null`: nobody is signed in. `rejected`: the token that the server last refused. */
export const token: { readonly value: string | null; readonly rejected: string | null } = {
  value: (remembered() ?? (isLocal ? LOCAL_TOKEN : "")) || null,
  rejected: null,
};

function set(value: string | null, rejected: string | null): void {
  Object.assign(token, { value, rejected });
  for (const listener of listeners) listener();
}

export function signIn(value: string): void {
  remember(value);
  set(value, null);
}

export function signOut(): void {
  // Empty, not absent: a local run must not sign in again by itself.
  remember("");
  set(null, null);
}

/** The server refused it. Ignored for a token that is no longer the one in use. */
export function rejectToken(value: string): void {
  if (token.value === value) set(null, value);
}

function remember(value: string): void {
  try {
    localStorage.setItem(KEY, value);
  } catch {
    // Blocked: remembered until the page closes.
  }
}

export function useToken(): typeof token {
  const [, render] = useState(0);
  useEffect(() => {
    const listener = () => render((count) => count + 1);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, []);
  return token;
}
