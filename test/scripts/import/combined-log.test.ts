import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type LoggedRequest, parseLogLine } from "../../../scripts/import/combined-log.ts";

const WHOLE = '192.0.2.1 - bob [17/May/2015:10:05:03 +0200] "GET /a?b=c HTTP/1.1" 200 123 "http://r.example/" "UA/1.0"';

describe("a line of an access log", () => {
  it("is read field by field, its time in UTC", () => {
    expect(parseLogLine(WHOLE)).toEqual({
      host: "192.0.2.1",
      user: "bob",
      time: "2015-05-17T08:05:03.000Z",
      request: "GET /a?b=c HTTP/1.1",
      method: "GET",
      target: "/a?b=c",
      protocol: "HTTP/1.1",
      status: 200,
      bytes: 123,
      referrer: "http://r.example/",
      userAgent: "UA/1.0",
    } satisfies LoggedRequest);
  });

  it.each([
    ["within its user agent", WHOLE.slice(0, -4), { userAgent: "UA/", referrer: "http://r.example/" }],
    ["before its user agent", WHOLE.slice(0, -9), { userAgent: "", referrer: "http://r.example/" }],
    ["within its referrer", WHOLE.slice(0, -15), { userAgent: "", referrer: "http://r.exa" }],
    ["after its bytes (the common format)", WHOLE.slice(0, -29), { userAgent: "", referrer: null, bytes: 123 }],
    ["before its bytes", WHOLE.slice(0, -33), { status: 200, bytes: null }],
  ])("cut short %s is read with what it has", (_, line, expected) => {
    expect(parseLogLine(line)).toMatchObject(expected);
  });

  it.each([
    ["no log line", "hello"],
    ["cut within its request", WHOLE.slice(0, 60)],
    ["cut within its status", WHOLE.slice(0, -35)],
    ["of a day that its month lacks", WHOLE.replace("17/May", "31/Apr")],
    ["of a month that no year has", WHOLE.replace("May", "Mai")],
    ["of hour 24", WHOLE.replace(":10:05", ":24:05")],
  ])("that is %s is unreadable, not an error", (_, line) => {
    expect(parseLogLine(line)).toBeNull();
  });

  it.each([
    ['"\\"quoted\\" \\\\ agent"', '"quoted" \\ agent'],
    ['"\\xe4 stays"', "\\xe4 stays"],
    ['"-"', "-"],
    ['""', ""],
  ])("has the user agent %s as %s", (quoted, userAgent) => {
    expect(parseLogLine(WHOLE.replace('"UA/1.0"', quoted))?.userAgent).toBe(userAgent);
  });

  it("may hold a request that is none, or a target with spaces", () => {
    const withRequest = (request: string) => parseLogLine(WHOLE.replace("GET /a?b=c HTTP/1.1", request));
    expect(withRequest("\\x16\\x03\\x01")).toMatchObject({ method: null, target: null, request: "\\x16\\x03\\x01" });
    expect(withRequest("-")).toMatchObject({ method: null, target: null });
    expect(withRequest("GET /a b c HTTP/1.0")).toMatchObject({ target: "/a b c", protocol: "HTTP/1.0" });
    expect(withRequest("GET /old")).toMatchObject({ method: "GET", target: "/old", protocol: null });
  });

  it("of any content is read or refused, and never throws", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.nat(WHOLE.length), (noise, at) => {
        parseLogLine(noise);
        parseLogLine(WHOLE.slice(0, at) + noise + WHOLE.slice(at));
      }),
    );
  });

  it("gives back whatever quoted texts a server wrote into it", () => {
    const quoted = (text: string) => text.replace(/["\\]/g, "\\$&");
    const text = fc.string({ minLength: 2 }).filter((t) => !/[\n\r]/.test(t) && t !== "-");
    fc.assert(
      fc.property(text, text, (referrer, agent) => {
        const line = WHOLE.replace("http://r.example/", () => quoted(referrer)).replace("UA/1.0", () => quoted(agent));
        expect(parseLogLine(line)).toMatchObject({ referrer, userAgent: agent });
      }),
    );
  });
});
