import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { KnownUsers } from "../../../durable-objects/user-timeline/known-users.ts";

const told = (lastSeen: number, revision?: number) => ({ id: "ann", lastSeen, ...(revision && { revision }) });

describe("the users of a device", () => {
  it("keep one of whom a faster drain has told, when a straggler says that it has taken the same events away", () => {
    const users = new KnownUsers();
    users.fold(told(100, 4));
    const straggler = { id: "ann", until: 100, lastSeen: null, revision: 6 };
    // The faster one took nothing any more, and brought the event at its new place.
    expect(users.leave({ ...straggler, revision: 6 })).toBe(true);
    users.fold(told(100, 7));
    const stored = new KnownUsers(users.encode());
    expect(stored.leave(straggler)).toBe(false);
    expect(stored.list().users).toEqual([{ id: "ann", lastSeen: 100 }]);
    // What comes after it holds; so does what is told by whoever knows no revisions.
    expect(new KnownUsers(users.encode()).leave({ ...straggler, revision: 8 })).toBe(true);
    expect(stored.leave({ id: "ann", until: 100, lastSeen: null })).toBe(true);
    expect(stored.list().users).toEqual([]);
  });

  it("include, in whatever order and however often they are told, those of whom the newest that was told is that they were seen", () => {
    const revisions = fc.array(fc.option(fc.integer({ min: 1, max: 50 })), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(revisions, fc.array(fc.nat(), { maxLength: 20 }), (seen, order) => {
        const statements = seen.map((lastSeen, revision) => ({ lastSeen, revision: revision + 1 }));
        const users = new KnownUsers();
        const tell = ({ lastSeen, revision }: (typeof statements)[number]) => {
          if (lastSeen === null) users.leave({ id: "ann", until: 50, lastSeen, revision });
          else users.fold(told(lastSeen, revision));
        };
        for (const index of order) tell(statements[index % statements.length]!);
        for (const index of order.keys()) tell(statements[index % statements.length]!);
        // Each was told once at least.
        for (const statement of statements.toReversed()) tell(statement);
        if (seen.at(-1) !== null) expect(users.list().users.map(({ id }) => id)).toEqual(["ann"]);
      }),
      {
        examples: [
          [[null, 10], []],
          [
            [10, null, 10],
            [2, 1, 0],
          ],
        ],
      },
    );
  });
});
