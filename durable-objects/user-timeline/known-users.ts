/**
 * The users of a device, the newest by event_time. As events come, their lastSeen only rises, so that telling twice is telling
 * once. It falls only where events were taken off the device, and only for a user who was not seen here since.
 *
 * What a device is told was true of the user's timeline at some revision of it. Whoever tells may be slow:
 *
 *     a drain takes an event off ann, revision 6, and hangs
 *     a faster one takes nothing any more and brings it at its new place, revision 7: ann was seen here
 *     the first one goes on: at 6 ann was not seen here          passed over
 */
import { TIMELINE } from "../../r2-layout/limits.ts";

export interface KnownUser {
  readonly id: string;
  /** Microseconds. */
  readonly lastSeen: number;
}

/** A user as its timeline has it at a revision; absent: told by a Worker that does not say. */
export interface ToldUser extends KnownUser {
  readonly revision?: number | undefined;
}

/** Of whom events were taken off the device: as `TimelineAmend.left` says. */
export interface LeftUser {
  readonly id: string;
  readonly until: number;
  readonly lastSeen: number | null;
  readonly revision?: number | undefined;
}

export interface EncodedUsers {
  /** No revision: 0. */
  readonly users: readonly (readonly [id: string, lastSeen: number, revision?: number])[];
  readonly cut: boolean;
}

export class KnownUsers {
  readonly #users: Map<string, { lastSeen: number; revision: number }>;
  #cut: boolean;

  constructor(encoded: EncodedUsers = { users: [], cut: false }) {
    this.#users = new Map(encoded.users.map(([id, lastSeen, revision = 0]) => [id, { lastSeen, revision }]));
    this.#cut = encoded.cut;
  }

  /** @returns whether anything changed. */
  fold({ id, lastSeen, revision = 0 }: ToldUser): boolean {
    const known = this.#users.get(id);
    if (known && known.lastSeen >= lastSeen && known.revision >= revision) return false;
    this.#users.set(id, {
      lastSeen: Math.max(lastSeen, known?.lastSeen ?? lastSeen),
      revision: Math.max(revision, known?.revision ?? 0),
    });
    if (this.#users.size > TIMELINE.usersPerDevice) {
      const oldest = this.list().users.at(-1)!.id;
      this.#users.delete(oldest);
      if (oldest === id && this.#cut) return false;
      this.#cut = true;
    }
    return true;
  }

  /** As `TimelineAmend.left` says. @returns whether anything changed. */
  leave({ id, until, lastSeen, revision }: LeftUser): boolean {
    const known = this.#users.get(id);
    // Seen here, and never told of: whoever had to tell was cut off, and what it had to tell of has gone since.
    if (!known) return lastSeen !== null && this.fold({ id, lastSeen, revision });
    if (known.revision > (revision ?? known.revision)) return false;
    if (known.lastSeen > until || known.lastSeen === lastSeen) return false;
    if (lastSeen === null) this.#users.delete(id);
    else this.#users.set(id, { lastSeen, revision: revision ?? known.revision });
    return true;
  }

  /** Newest first; `cut` says that there were more than are kept. */
  list(): { users: KnownUser[]; cut: boolean } {
    const users = [...this.#users].map(([id, { lastSeen }]) => ({ id, lastSeen }));
    users.sort((a, b) => b.lastSeen - a.lastSeen || (a.id < b.id ? -1 : 1));
    return { users, cut: this.#cut };
  }

  encode(): EncodedUsers {
    const users = Array.from(this.#users, ([id, { lastSeen, revision }]) =>
      revision > 0 ? ([id, lastSeen, revision] as const) : ([id, lastSeen] as const),
    );
    return { users, cut: this.#cut };
  }
}
