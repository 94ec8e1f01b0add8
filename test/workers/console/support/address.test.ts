import { describe, expect, it } from "vitest";
import {
  eventsPath,
  exportPath,
  formatAddress,
  keptSince,
  parseAddress,
} from "../../../../workers/console/support/address.ts";
import { eventLookupPath, lookupPath } from "../../../../workers/console/support/lookup.ts";

describe("an address", () => {
  it.each([
    { subject: { kind: "user", id: "ada" } },
    { subject: { kind: "device", id: "a/b?c=d&e#f ü" }, at: "2026-11-22T05:00:00.000Z" },
    { subject: { kind: "user", id: "ada" }, at: "2026-11-22T05:00:00.000Z", event: "e&1" },
    { query: "ada@example.org" },
  ] as const)("survives the address bar: %o", (address) => {
    expect(parseAddress(formatAddress(address))).toEqual(address);
  });

  it("leaves out a moment that is none, and is none without an id", () => {
    expect(parseAddress("?user=ada&at=soon&minutes=60")).toEqual({ subject: { kind: "user", id: "ada" } });
    expect(parseAddress("?user=%20")).toBeNull();
    expect(parseAddress("")).toBeNull();
  });
});

describe("what is asked for", () => {
  it("is all that a timeline keeps, with what came before the sign-in; of a device without", () => {
    expect(eventsPath({ kind: "user", id: "a/b" }, {}, 100, "c=1")).toBe(
      "/v1/users/a%2Fb/events?minutes=43200&stitch=1&limit=100&cursor=c%3D1",
    );
    expect(eventsPath({ kind: "device", id: "d" }, { from: "F", to: "T" }, 5, null)).toBe(
      "/v1/devices/d/events?from=F&to=T&limit=5",
    );
    expect(exportPath({ kind: "user", id: "a" }, { from: "F" }, "csv")).toBe(
      "/v1/users/a/export?from=F&stitch=1&format=csv",
    );
  });

  it("begins within what timelines keep, whatever a clock is ahead", () => {
    expect(keptSince(Date.UTC(2026, 10, 22))).toBe("2026-10-23T02:00:00.000Z");
  });

  it("is anything that has this name, or an event, received so many days ago at most", () => {
    expect(lookupPath("a b")).toBe("/v1/lookup?q=a+b");
    expect(eventLookupPath("a", null, 0)).toBe("/v1/lookup?q=a&kind=event");
    expect(eventLookupPath("a", 1, 86_400_000)).toBe("/v1/lookup?q=a&kind=event&from=1970-01-01T00%3A00%3A00.000Z");
  });
});
