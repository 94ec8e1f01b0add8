/**
 * The users of a device, the newest by event_time. As events come, their lastSeen only rises, so that telling twice is telling
 * once. It falls only where events were taken off the device, and only for a user who was not seen here since.
 */
import { TIMELINE } from "../../r2-layout/limits.ts";

export interface KnownUser {
  readonly id: string;
  /** Microseconds. */
  readonly lastSeen: number;
}

export interface EncodedUsers {
  readonly users: readonly (readonly [id: string, lastSeen: number])[];
  readonly cut: boolean;
}

export class KnownUsers {
  readonly #lastSeen: Map<string, number>;
  #cut: boolean;

  constructor(encoded: EncodedUsers = { users: [], cut: false }) {
    this.#lastSeen = new Map(encoded.users);
    this.#cut = encoded.cut;
  }

  /** @returns whether anything changed. */
  fold(user: KnownUser): boolean {
    const known = this.#lastSeen.get(user.id);
    if (known !== undefined && known >= user.lastSeen) return false;
    this.#lastSeen.set(user.id, user.lastSeen);
    if (this.#lastSeen.size > TIMELINE.usersPerDevice) {
      const oldest = this.list().users.at(-1)!.id;
      this.#lastSeen.delete(oldest);
      if (oldest === user.id && this.#cut) return false;
      this.#cut = true;
    }
    return true;
  }

  /** As `TimelineAmend.left` says. @returns whether anything changed. */
  leave({ id, until, lastSeen }: { id: string; until: number; lastSeen: number | null }): boolean {
    const known = this.#lastSeen.get(id);
    // Seen here, and never told of: whoever had to tell was cut off, and what it had to tell of has gone since.
    if (known === undefined) return lastSeen !== null && this.fold({ id, lastSeen });
    if (known > until || known === lastSeen) return false;
    if (lastSeen === null) this.#lastSeen.delete(id);
    else this.#lastSeen.set(id, lastSeen);
    return true;
  }

  /** Newest first; `cut` says that there were more than are kept. */
  list(): { users: KnownUser[]; cut: boolean } {
    const users = [...this.#lastSeen].map(([id, lastSeen]) => ({ id, lastSeen }));
    users.sort((a, b) => b.lastSeen - a.lastSeen || (a.id < b.id ? -1 : 1));
    return { users, cut: this.#cut };
  }

  encode(): EncodedUsers {
    return { users: [...this.#lastSeen], cut: this.#cut };
  }
}
