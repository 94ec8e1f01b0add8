/**
 * Tells the index of e-mail addresses whose timelines have new ones: after the timelines have the events, before the
 * cursor moves. A crash in between brings the step again; the timelines skip its events then, and name their addresses all
 * the same. What the index has already is no row written.
 */
import { EmailAddress } from "../../durable-objects/email-index/address.ts";
import type { EmailEntry, EmailIndexApi } from "../../durable-objects/email-index/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { Subject } from "../../durable-objects/user-timeline/api.ts";
import { emailOf } from "../../durable-objects/user-timeline/email-trait.ts";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { EMAIL_INDEX, SESSIONS } from "../../r2-layout/limits.ts";
import type { CallBudget } from "../sink.ts";
import { boundedParallel } from "./bounded-parallel.ts";

export interface EmailIndexDeps {
  /** Absent: nothing is indexed. */
  readonly emails?: ObjectNamespace<Pick<EmailIndexApi, "add">>;
  readonly identityKey: string;
}

/** Addresses that timelines have named. */
export type NamedEmails = readonly { readonly subject: Subject; readonly emails: readonly string[] }[];

/** Calls at most, of these events: one for each object. */
export const callsToIndex = (events: Iterable<EventRow>): number => {
  let named = 0;
  for (const event of events) if (event.event_type === "identify" && emailOf(event)) named++;
  return Math.min(named, EMAIL_INDEX.objects);
};

export async function indexEmails(
  named: NamedEmails,
  calls: CallBudget,
  { emails: index, identityKey }: EmailIndexDeps,
  retried: <T>(call: () => Promise<T>) => Promise<T>,
): Promise<void> {
  if (!index) return;
  const byObject = new Map<string, EmailEntry[]>();
  for (const { subject, emails } of named) {
    for (const email of emails) {
      const address = new EmailAddress(identityKey, email);
      const entry = { address: address.hash, ...address.seal(subject) };
      const entries = byObject.get(address.objectName);
      if (entries) entries.push(entry);
      else byObject.set(address.objectName, [entry]);
    }
  }
  await boundedParallel(byObject, SESSIONS.callsAtOnce, ([name, entries]) =>
    retried(() => {
      calls.left--;
      return index.getByName(name).add(entries);
    }),
  );
}
