/**
 * Two kinds of failure. What time cures (a store that is down, moved, overloaded or slow, a network, a lease that went
 * to another, a rule that must be read first) is tried for ever, loudly. What a store refuses for what it is would fail
 * the same way tomorrow: after a bounded number of attempts it becomes a hole, so that it does not hold up what follows.
 *
 * What is not known to be a refusal is an outage: waiting loses nothing. So the table lists refusals. As workerd hands
 * them over an RPC (test/queues/refusal.workerd.test.ts):
 *
 *     thrown in an object                     what the caller gets
 *     RangeError, TypeError, SyntaxError …    the same name and message, `remote: true`
 *     a class of one's own                    an Error with that name, its own properties
 *     SQLite                                  Error "… : SQLITE_TOOBIG", "… : SQLITE_CONSTRAINT (extended: …)"
 *     arguments above 32 MiB, not clonable    Error "… limited to 32MiB …", DOMException "DataCloneError", no `remote`
 *     the object was reset or moved           Error, `durableObjectReset: true`, often `retryable: true`
 *     the object has too much to do           Error, `overloaded: true`
 *     a method that it does not have (yet)    TypeError "The RPC receiver does not implement …": a deploy is under way
 *     R2, queues                              Error "get: … (10001)": no name of their own
 */
import type { EventRow, QuarantineRow } from "../r2-layout/event-columns.ts";

/**
 * Thrown by a sink whose store refuses some events of a step and has, or would have, all the others. None of these has
 * taken effect.
 */
export class EventsRefused extends Error {
  /** The step's own rows. */
  readonly events: readonly (EventRow | QuarantineRow)[];

  constructor(events: readonly (EventRow | QuarantineRow)[], cause: unknown) {
    super(`${events.length} events are refused: ${String(cause)}`, { cause });
    this.name = "EventsRefused";
    this.events = events;
  }
}

/** RuntimeError is a trap of WebAssembly, whose own class another realm's code does not share. */
const REFUSALS = new Set(["RangeError", "TypeError", "SyntaxError", "URIError", "RuntimeError", "DataCloneError"]);

const REFUSAL_TEXTS = [
  /SQLITE_(TOOBIG|CONSTRAINT|MISMATCH)/,
  /too many SQL variables/,
  /are limited to 32MiB/,
  // The Parquet encoder: its own words, and ours where its stream just ends.
  /^(Parquet|Arrow) error/,
  /^encoder wrote \d+ of \d+ rows/,
  // It again, of whatever was thrown while its batches were made: a required value that is missing, say.
  /^Dyn casting error/,
];

const TEMPORARY_TEXTS = [/^rules:/, /^The RPC receiver does not implement/, /^Cannot perform I\/O on behalf of/];

/** Whether a store refused what it was given for what it is. Everything else time cures. */
export function isRefusal(error: unknown): boolean {
  if (error instanceof EventsRefused) return true;
  const { name, message, ...flags } = facts(error);
  if (flags.retryable || flags.overloaded || flags.durableObjectReset) return false;
  if (TEMPORARY_TEXTS.some((text) => text.test(message))) return false;
  return REFUSALS.has(name) || REFUSAL_TEXTS.some((text) => text.test(message));
}

/** A store knows a newer rule than the step had: read the rules, and the step, again. */
export const isBehindRules = (error: unknown): boolean => facts(error).message.startsWith("rules:");

function facts(error: unknown): {
  name: string;
  message: string;
  retryable?: boolean;
  overloaded?: boolean;
  durableObjectReset?: boolean;
} {
  if (typeof error !== "object" || error === null) return { name: "", message: String(error) };
  const { name, message, retryable, overloaded, durableObjectReset } = error as Partial<ReturnType<typeof facts>>;
  return {
    name: String(name ?? ""),
    message: String(message ?? ""),
    ...(retryable && { retryable }),
    ...(overloaded && { overloaded }),
    ...(durableObjectReset && { durableObjectReset }),
  };
}
