/**
 * A subject's state without others who were erased: pointers to them, addresses, and last values that are one of their
 * identifiers. Sums stay: the events that made them are taken back where they are kept. Pure.
 */
import { normalizeEmail } from "../../r2-layout/email.ts";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { type Subject as Erased, subjectsOf } from "../../r2-layout/subjects.ts";
import type { EncodedState } from "./subject-state.ts";

export class ErasedSubjects {
  readonly #known: ReadonlySet<string>;

  constructor(subjects: readonly Erased[]) {
    this.#known = new Set(subjects.map(keyOf));
  }

  has(kind: Erased["kind"], id: string): boolean {
    return this.#known.has(keyOf({ kind, id }));
  }

  /** Whether an event names one of them. */
  named(event: EventRow): boolean {
    return subjectsOf(event).some((subject) => this.#known.has(keyOf(subject)));
  }

  /** Whether a text is one of their identifiers, of whatever kind. */
  is(text: string): boolean {
    const email = normalizeEmail(text);
    return this.has("user", text) || this.has("device", text) || (email !== null && this.has("email", email));
  }

  /** @returns the state without them, and how many traces that took. */
  without<State extends EncodedState>(state: State): { readonly state: State; readonly traces: number } {
    const devices = state.devices.filter(([id]) => !this.has("device", id));
    const users = state.users.users.filter(([id]) => !this.has("user", id));
    const emails = state.emails?.filter((email) => !this.has("email", email));
    const values = state.values.filter(([, value]) => !this.is(value));
    const traces =
      state.devices.length -
      devices.length +
      (state.users.users.length - users.length) +
      ((state.emails?.length ?? 0) - (emails?.length ?? 0)) +
      (state.values.length - values.length);
    const left: EncodedState = { ...state, devices, users: { ...state.users, users }, emails, values };
    return { state: left as State, traces };
  }
}

const keyOf = ({ kind, id }: Erased): string => `${kind}\n${id}`;
