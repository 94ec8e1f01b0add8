import { describe, expect, it } from "vitest";
import { masked, pseudonym } from "../../../workers/edge/mask.ts";
import { seesOwn } from "../../../workers/edge/own-routes.ts";

const sightOn = (...columns: string[]) => ({ sources: null, masked: columns, pseudonymKey: "k" });
const ann = pseudonym("ann", sightOn());

describe("what support is told where columns are masked", () => {
  it("is all of it where none is, and the same object", () => {
    const page = { events: [{ city: "Bern" }] };
    expect(masked(page, null)).toBe(page);
    expect(masked(page, sightOn())).toBe(page);
  });

  it("lacks an event's values, and has pseudonyms for identifiers", () => {
    const page = {
      events: [{ event_name: "page", user_id: "ann", city: "Bern", properties: { city: "Bern" } }],
      next: "n",
    };
    expect(masked(page, sightOn("city", "user_id"))).toEqual({
      events: [{ event_name: "page", user_id: ann, city: null, properties: { city: "Bern" } }],
      next: "n",
    });
    expect(masked(page, sightOn("properties")).events[0]).toMatchObject({ city: "Bern", properties: null });
    expect(masked({ events: [{ user_id: null }] }, sightOn("user_id"))).toEqual({ events: [{ user_id: null }] });
  });

  it("lacks those of a profile, a session, a match and who else was on a device", () => {
    const profile = {
      user_id: "ann",
      counts: { city: 3 },
      recency: { by_event: { city: { seconds: 1 } } },
      revenue: { EUR: 5 },
      last_values: { "traits.email": { value: "ann@x.example", at: "t" } },
      devices: [{ anonymous_id: "phone", device_type: "mobile" }],
      first_touch: { at: "t", utm_source: "mail" },
    };
    const sight = sightOn(
      "properties",
      "city",
      "device_type",
      "utm_source",
      "revenue",
      "page_path",
      "session_id",
      "user_id",
    );
    expect(masked(profile, sight)).toEqual({
      user_id: ann,
      counts: { city: 3 },
      recency: { by_event: { city: { seconds: 1 } } },
      revenue: null,
      last_values: null,
      devices: [{ anonymous_id: "phone", device_type: null }],
      first_touch: { at: "t", utm_source: null },
    });
    expect(masked({ sessions: [{ id: "s", entry: "/a", exit: "/b", pages: 2 }] }, sight)).toEqual({
      sessions: [{ id: pseudonym("s", sight), entry: null, exit: null, pages: 2 }],
    });
    const session = { id: "s", entry: "/a", exit: "/b", pages: 2 };
    for (const [column, entry] of [
      ["page_path", null],
      ["properties", null],
      ["page_url", "/a"],
    ] as const) {
      expect(masked(session, sightOn(column)).entry, column).toBe(entry);
    }
    const match = { kind: "user", id: "ann", by: "email", email: "ann@x.example", events: 3 };
    expect(masked({ matches: [match] }, sight)).toEqual({ matches: [{ ...match, id: ann, email: null }] });
    expect(masked({ users: [{ user_id: "ann", last_seen: "t" }] }, sight)).toEqual({
      users: [{ user_id: ann, last_seen: "t" }],
    });
  });

  it("has no way round by a token of the person's own, where that would show what is masked", () => {
    for (const column of ["city", "page_url", "properties"]) expect(seesOwn(sightOn(column)), column).toBe(false);
    for (const sight of [null, sightOn(), sightOn("user_id", "region")]) expect(seesOwn(sight)).toBe(true);
  });

  it("has another pseudonym under another key", () => {
    expect(ann).toMatch(/^masked:[0-9a-f]{32}$/);
    expect(pseudonym("ann", { ...sightOn(), pseudonymKey: "other" })).not.toBe(ann);
  });
});
