import { describe, expect, it } from "vitest";
import { REPLAY } from "../../r2-layout/limits.ts";
import { watchJobLeases } from "./job-leases.ts";

const TTL_MS = 60_000;

function watched() {
  const complaints: string[] = [];
  const { begins, answered } = watchJobLeases((text) => complaints.push(text));
  return {
    complaints,
    lease: (owner: string, token: number | null, atMs: number) =>
      answered("ReplayDesk.lease", ["job", owner, TTL_MS], token === null ? null : { token }, atMs),
    save: (token: number, kind: "saved" | "lost", atMs: number) =>
      answered("ReplayDesk.save", ["job", token, {}], { kind }, atMs),
    release: (token: number) => begins("ReplayDesk.release", ["job", token, { kind: "more", inMs: 0 }]),
  };
}

describe("the watch over the leases of jobs", () => {
  it("complains of a second holder while the first one's lease runs", () => {
    const { complaints, lease } = watched();
    lease("a", 1, 0);
    lease("b", null, 10);
    expect(complaints).toEqual([]);
    lease("b", 2, TTL_MS - 1);
    expect(complaints).toEqual(["job has two holders: 1 and 2"]);
  });

  it("complains of one that an older holder has let in", () => {
    const { complaints, lease, release } = watched();
    lease("a", 1, 0);
    lease("b", 2, TTL_MS);
    release(1);
    lease("c", 3, TTL_MS + 1);
    expect(complaints).toEqual(["job has two holders: 2 and 3"]);
  });

  it("has nothing against a lease after one that was released, that ran out, or that is the same holder's", () => {
    const { complaints, lease, release } = watched();
    lease("a", 1, 0);
    release(1);
    lease("b", 2, 1);
    lease("b", 3, 2);
    lease("c", 4, 2 + TTL_MS);
    expect(complaints).toEqual([]);
  });

  it("counts a lease from what its holder saved last, and complains of what an older one saves", () => {
    const { complaints, lease, save } = watched();
    lease("a", 1, 0);
    save(1, "saved", TTL_MS - 1);
    lease("b", 2, TTL_MS - 2 + REPLAY.leaseMs);
    expect(complaints).toEqual(["job has two holders: 1 and 2"]);
    save(1, "lost", TTL_MS + REPLAY.leaseMs);
    save(1, "saved", TTL_MS + REPLAY.leaseMs);
    expect(complaints.slice(1)).toEqual(["job: 1 has saved, 2 has the lease"]);
  });
});
