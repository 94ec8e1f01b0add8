/** Who is here: the device, the user once known, and the session, which 30 minutes of silence end. */
import { type Store, tryWrite } from "./storage.ts";

export const SESSION_GAP_MS = 30 * 60_000;

const DEVICE = "eventpile.device";
const USER = "eventpile.user";
const SESSION = "eventpile.session";

export interface Identity {
  /** The columns that name the sender of the next event; counts it in the session. */
  next(): { anonymous_id: string; user_id?: string; session_id: string; client_seq: number };
  identify(userId: string): void;
  /** Forgets user, device and session: the next event is someone else's. */
  reset(): void;
}

/** Reads the store at each event, because other tabs share the session and may have signed the user out. */
export function createIdentity(store: Store, now: () => number, newId: () => string): Identity {
  return {
    next() {
      const known = store.getItem(DEVICE);
      const anonymous_id = known ?? newId();
      if (!known) tryWrite(store, DEVICE, anonymous_id);
      const [id, lastAt, count] = (store.getItem(SESSION) ?? "").split(" ");
      const lives = id && now() - Number(lastAt) < SESSION_GAP_MS;
      const session_id = lives ? id : newId();
      const client_seq = lives ? Number(count) + 1 : 1;
      tryWrite(store, SESSION, `${session_id} ${now()} ${client_seq}`);
      return { anonymous_id, user_id: store.getItem(USER) ?? undefined, session_id, client_seq };
    },
    identify: (userId) => void tryWrite(store, USER, userId),
    reset: () => [DEVICE, USER, SESSION].forEach((key) => void store.removeItem(key)),
  };
}
