/**
 * Who else is the same person, as far as the timelines and the index of addresses know: a user's devices, the users of a
 * device, whoever gave an address, and the addresses that they gave. Shown before an erasure is confirmed.
 *
 * A device with several users is *shared*: what was sent from it while nobody was signed in may be anybody's, and to erase
 * it takes the others' anonymous events, and their signed-in ones, too. So is an address that several users gave. Such a
 * link is named and not followed; whoever asks for the erasure may name it themselves.
 */
import { EmailAddress } from "../../durable-objects/email-index/address.ts";
import type { EmailIndexApi } from "../../durable-objects/email-index/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { TimelineErasureApi } from "../../durable-objects/user-timeline/erasure-api.ts";
import { timelineName } from "../../durable-objects/user-timeline/timeline-name.ts";
import { ERASURE, SESSIONS } from "../../r2-layout/limits.ts";
import type { Subject } from "../../r2-layout/subjects.ts";
import { boundedParallel } from "../sessions/bounded-parallel.ts";

export interface ClosureDeps {
  readonly timelines: ObjectNamespace<Pick<TimelineErasureApi, "named">>;
  readonly emails: ObjectNamespace<Pick<EmailIndexApi, "find">>;
  readonly identityKey: string;
  /** Which build of the timelines is read. */
  readonly generation: () => Promise<number>;
}

export interface ClosureLink {
  readonly subject: Subject;
  /** By whom it was found. */
  readonly via: Subject;
  /** It is others', too: taken only where it is asked for. */
  readonly shared: boolean;
}

export interface Closure {
  /** Without the subjects that were asked for; each once. */
  readonly links: readonly ClosureLink[];
  /** False: a bound was met, there may be more. */
  readonly complete: boolean;
}

export async function closureOf(deps: ClosureDeps, subjects: readonly Subject[]): Promise<Closure> {
  const generation = await deps.generation();
  const known = new Set(subjects.map(keyOf));
  const neighbours = new Map<string, Neighbours>();
  const links: ClosureLink[] = [];
  let complete = true;
  let asked: readonly Subject[] = subjects;
  while (asked.length > 0) {
    const some = asked.slice(0, ERASURE.closureCalls - neighbours.size);
    if (some.length < asked.length) complete = false;
    await boundedParallel(some, SESSIONS.callsAtOnce, async (subject) => {
      neighbours.set(keyOf(subject), await neighboursOf(deps, generation, subject));
    });
    const next: Subject[] = [];
    // In the order of the question, whatever the order of the answers.
    for (const via of some) {
      const here = neighbours.get(keyOf(via))!;
      if (here.cut) complete = false;
      const shared = isShared(via, here, known);
      for (const subject of here.subjects) {
        if (known.has(keyOf(subject))) continue;
        if (known.size === ERASURE.subjects) return { links: marked(links, neighbours, subjects), complete: false };
        known.add(keyOf(subject));
        links.push({ subject, via, shared });
        if (!shared) next.push(subject);
      }
    }
    asked = next;
  }
  return { links: marked(links, neighbours, subjects), complete };
}

/** Whether several users are on this device, or gave this address, and not all of them are among these. */
function isShared({ kind }: Subject, { subjects }: Neighbours, among: ReadonlySet<string>): boolean {
  const users = subjects.filter((one) => one.kind === "user");
  return kind !== "user" && users.length > 1 && users.some((user) => !among.has(keyOf(user)));
}

/** A device or an address is shared, too, where one of its users stays. */
function marked(
  links: readonly ClosureLink[],
  neighbours: ReadonlyMap<string, Neighbours>,
  subjects: readonly Subject[],
): ClosureLink[] {
  const going = new Set(
    [...subjects, ...links.filter(({ shared }) => !shared).map(({ subject }) => subject)].map(keyOf),
  );
  return links.map((link) => {
    const here = neighbours.get(keyOf(link.subject));
    return here && isShared(link.subject, here, going) ? { ...link, shared: true } : link;
  });
}

interface Neighbours {
  readonly subjects: readonly Subject[];
  /** There were more than are kept. */
  readonly cut: boolean;
}

async function neighboursOf(deps: ClosureDeps, generation: number, subject: Subject): Promise<Neighbours> {
  const { identityKey } = deps;
  if (subject.kind === "email") {
    const address = new EmailAddress(identityKey, subject.id);
    const { subjects, full } = await deps.emails.getByName(address.objectName).find(address.hash);
    return { subjects: subjects.flatMap((sealed) => address.open(sealed) ?? []), cut: full };
  }
  const { kind, id } = subject;
  const named = await deps.timelines.getByName(timelineName(identityKey, { kind, id }, generation)).named();
  return {
    subjects: [
      ...named.users.map((one): Subject => ({ kind: "user", id: one })),
      ...named.devices.map((one): Subject => ({ kind: "device", id: one })),
      ...named.emails.map((one): Subject => ({ kind: "email", id: one })),
    ],
    cut: named.cut,
  };
}

const keyOf = ({ kind, id }: Subject): string => `${kind}\n${id}`;
