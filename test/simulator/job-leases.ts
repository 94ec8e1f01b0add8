/**
 * That a job has one holder at a time, watched from outside of the desk: by its own clock a lease is its holder's until that one
 * gives it back, or has said nothing for as long as it was given. The stores would stay whole with two of them (what the older
 * one saves is refused, and their calls may come twice), but the last word of the older one would undo what the job has been
 * told since: a swap that was asked for would wait for somebody to ask once more.
 */
import type { JobLease, SaveAnswer } from "../../durable-objects/replay-desk/api.ts";
import { REPLAY } from "../../r2-layout/limits.ts";
import type { Watch } from "./platform/objects.ts";

interface Held {
  readonly owner: string;
  readonly token: number;
  /** Milliseconds of the desk's clock. */
  readonly until: number;
}

/** @param complain told of each job that two have at once, and of each word of an older holder that is believed. */
export function watchJobLeases(complain: (text: string) => void): Watch {
  const leases = new Map<string, Held>();
  return {
    begins(target, [id, token]) {
      // Whether it lasts or is lost with the object: who has said it does no more.
      const held = leases.get(id as string);
      if (held === undefined || held.token !== token) return;
      if (target === "ReplayDesk.release") leases.delete(id as string);
      // It may last though nobody hears so, and count from another clock: the object's next life has one of its own.
      if (target === "ReplayDesk.save") {
        leases.set(id as string, { ...held, until: Math.min(held.until, Date.now() + REPLAY.leaseMs) });
      }
    },
    answered(target, args, answer, atMs) {
      const id = args[0] as string;
      const held = leases.get(id);
      if (target === "ReplayDesk.lease" && answer !== null) {
        const [, owner, ttlMs] = args as [string, string, number];
        const { token } = answer as JobLease;
        if (held && held.token > token) return;
        if (held && held.owner !== owner && held.until > atMs)
          complain(`${id} has two holders: ${held.token} and ${token}`);
        leases.set(id, { owner, token, until: atMs + ttlMs });
      }
      if (target === "ReplayDesk.save" && (answer as SaveAnswer).kind === "saved") {
        const token = args[1] as number;
        if (held && held.token > token) complain(`${id}: ${token} has saved, ${held.token} has the lease`);
        if (held?.token === token) leases.set(id, { ...held, until: atMs + REPLAY.leaseMs });
      }
    },
  };
}
