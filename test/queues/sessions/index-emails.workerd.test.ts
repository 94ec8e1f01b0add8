import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { EmailAddress } from "../../../durable-objects/email-index/address.ts";
import type { EmailIndexApi } from "../../../durable-objects/email-index/api.ts";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import type { SinkCursorApi } from "../../../durable-objects/sink-cursor/api.ts";
import type { TimelineAmendApi, UserTimelineApi } from "../../../durable-objects/user-timeline/api.ts";
import { amendTimelines } from "../../../queues/sessions/amend.ts";
import { callsToIndex } from "../../../queues/sessions/index-emails.ts";
import { createSessionsSink } from "../../../queues/sessions/sink.ts";
import type { SinkStep } from "../../../queues/sink.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { EMAIL_INDEX } from "../../../r2-layout/limits.ts";
import { plainEvent, START } from "../../durable-objects/user-timeline/events.ts";

const real = env as unknown as {
  SINK_CURSOR: ObjectNamespace<SinkCursorApi>;
  USER_TIMELINE: ObjectNamespace<UserTimelineApi & TimelineAmendApi>;
  EMAIL_INDEX: ObjectNamespace<EmailIndexApi>;
};
const { SINK_CURSOR: cursors, USER_TIMELINE: timelines } = real;
const identityKey = "test-identity-key";

afterEach(() => reset());

/** The index, whose `add` fails before or after its effect as often as it is told to. */
function index(fails: ("before" | "after")[] = []) {
  const told: number[] = [];
  const emails: ObjectNamespace<Pick<EmailIndexApi, "add">> = {
    getByName: (name) => ({
      async add(entries) {
        const when = fails.shift();
        if (when === "before") throw new Error("injected");
        told.push(entries.length);
        await real.EMAIL_INDEX.getByName(name).add(entries);
        if (when === "after") throw new Error("injected");
      },
    }),
  };
  return { emails, told };
}

async function whose(email: string): Promise<string[]> {
  const address = new EmailAddress(identityKey, email);
  const { subjects } = await real.EMAIL_INDEX.getByName(address.objectName).find(address.hash);
  return subjects.map((sealed) => Object.values(address.open(sealed)!).join(" ")).sort();
}

let n = 0;
const identify = (user_id: string | null, email: string, log_seq = 1, anonymous_id: string | null = null): EventRow =>
  plainEvent({
    event_id: `${n}`,
    event_time: START + n++,
    event_name: "identify",
    event_type: "identify",
    user_id,
    anonymous_id,
    log_seq,
    properties: { email },
  });

async function apply(events: readonly EventRow[], emails: ReturnType<typeof index>["emails"]): Promise<void> {
  const sink = createSessionsSink({ cursors, timelines, emails, identityKey });
  const lease = (await sink.lease(0, "test"))!;
  const step: SinkStep = {
    shard: 0,
    token: lease.token,
    from: 0,
    to: Math.max(...events.map(({ log_seq: seq }) => seq)),
    completeUntil: 0,
    events,
    quarantine: [],
    applied: { events: events.length, quarantined: 0 },
  };
  await sink.apply(step).finally(() => sink.release(0, lease.token));
}

describe("addresses of identify events", () => {
  it("lead to their users and devices, whatever call of the index fails before or after its effect", async () => {
    const fault = fc.constantFrom("before" as const, "after" as const);
    await fc.assert(
      fc.asyncProperty(fc.array(fault, { maxLength: 3 }), async (fails) => {
        await reset();
        const events = [
          identify("ada", "Ada@Example.org"),
          identify("lady", " ada@example.org"),
          identify(null, "visitor@example.org", 1, "phone"),
          identify("ada", "new@example.org", 2),
          identify("bob", "no address", 2),
        ];
        const { emails } = index(fails);
        for (let left = fails.length; left >= 0; left--) await apply(events, emails).catch(() => {});
        await apply(events, emails);
        expect(await whose("ada@example.org")).toEqual(["user ada", "user lady"]);
        expect(await whose("new@example.org")).toEqual(["user ada"]);
        expect(await whose("visitor@example.org")).toEqual(["device phone"]);
        expect(await whose("no address")).toEqual([]);
      }),
      { numRuns: 12 },
    );
  });

  it("are told of once: an identify call on every page view is no further call of the index", async () => {
    const { emails, told } = index();
    for (let seq = 1; seq <= 4; seq++) await apply([identify("ada", "ada@example.org", seq)], emails);
    expect(told).toEqual([1]);
  });

  it("promise 9: are EMAIL_INDEX.addressesPerSubject of one subject at most; the next one is not indexed", async () => {
    const { emails } = index();
    const many = Array.from({ length: EMAIL_INDEX.addressesPerSubject }, (_, i) => identify("ada", `a${i}@b.c`));
    await apply([...many, identify("ada", "last@b.c")], emails);
    expect(await whose(`a${EMAIL_INDEX.addressesPerSubject - 1}@b.c`)).toEqual(["user ada"]);
    expect(await whose("last@b.c")).toEqual([]);
  });

  it("lead to whom a correction gives them", async () => {
    const { emails } = index();
    const before = identify("adda", "ada@example.org");
    await apply([before], emails);
    const pairs = [{ before, after: { ...before, user_id: "ada" } }];
    await amendTimelines(pairs, 1, { timelines, emails, identityKey, generation: 0 });
    // Who has lost it is found to have no such address any more, by whoever looks.
    expect(await whose("ada@example.org")).toEqual(["user ada", "user adda"]);
  });

  it("need a call for each object at most", () => {
    const many = Array.from({ length: 300 }, (_, i) => identify("ada", `a${i}@b.c`));
    expect(callsToIndex(many)).toBe(EMAIL_INDEX.objects);
    expect(callsToIndex([...many.slice(0, 2), plainEvent({ event_id: "page", properties: { email: "a@b.c" } })])).toBe(
      2,
    );
  });
});
