import { describe, expect, it } from "vitest";
import { WEBHOOKS } from "../../../../r2-layout/limits.ts";
import { Refused } from "../../../../workers/edge/parameters.ts";
import { receiverUrl } from "../../../../workers/edge/webhooks/receiver-url.ts";

const ofLength = (length: number) => "https://example.com/".padEnd(length, "x");

describe("the address of a receiver", () => {
  it.each(["https://example.com/hook?token=1", "https://hooks.example.co.uk:8443/a", "https://xn--bcher-kva.example/"])(
    "may be %s",
    (url) => expect(receiverUrl(url, false)).toBe(url),
  );

  it.each([
    ...["http://example.com/", "ftp://example.com/", "https://user:secret@example.com/", "https://example.com/#part"],
    ...[
      "https://127.0.0.1/",
      "https://2130706433/",
      "https://0x7f.1/",
      "https://169.254.169.254/latest",
      "https://10.0.0.1/",
    ],
    ...[
      "https://[::1]/",
      "https://[::ffff:7f00:1]/",
      "https://[fd00::1]/",
      "https://localhost/",
      "https://a.localhost./",
    ],
    ...["https://metadata.google.internal/", "https://printer.local/", "https://intranet/", "https://router.lan/"],
    ...["http://127.0.0.1:8787/", "example.com", "", 7, null, undefined],
  ])("may not be %s", (url) => {
    expect(() => receiverUrl(url, false)).toThrow(Refused);
  });

  it("may be on this machine in the local run, and nowhere else inside", () => {
    expect(receiverUrl("http://127.0.0.1:8787/hook", true)).toBe("http://127.0.0.1:8787/hook");
    expect(receiverUrl("http://localhost:1/", true)).toBe("http://localhost:1/");
    expect(() => receiverUrl("http://10.0.0.1/", true)).toThrow(Refused);
    expect(() => receiverUrl("http://example.com/", true)).toThrow(Refused);
  });

  it("promise 9: has WEBHOOKS.urlChars characters, and not one more", () => {
    expect(receiverUrl(ofLength(WEBHOOKS.urlChars), false)).toHaveLength(WEBHOOKS.urlChars);
    expect(() => receiverUrl(ofLength(WEBHOOKS.urlChars + 1), false)).toThrow(Refused);
  });
});
