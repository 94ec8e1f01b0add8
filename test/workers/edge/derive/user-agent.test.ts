import { describe, expect, it } from "vitest";
import { readUserAgent } from "../../../../workers/edge/derive/user-agent.ts";

describe("what a user agent tells", () => {
  it.each([
    [
      "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Safari/605.1.15",
      "Safari",
      "Mac OS",
      "desktop",
    ],
    [
      "Mozilla/5.0 (Linux; Android 13; SM-X700) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
      "Chrome",
      "Android",
      "tablet",
    ],
    [
      "Mozilla/5.0 (SMART-TV; Linux; Tizen 7.0) AppleWebKit/537.36 (KHTML, like Gecko) 94.0.4606.31/7.0 TV Safari/537.36",
      "Safari",
      "Tizen",
      "tv",
    ],
    ["Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", undefined, undefined, "bot"],
    ["Fridge/1.0 (of nobody)", undefined, undefined, "other"],
  ])("%s", (text, browser, os, deviceType) => {
    expect(readUserAgent(text)).toMatchObject({ browser, os, deviceType, bot: deviceType === "bot" });
  });

  it("says the same of a text when it was forgotten in between", () => {
    const text = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:120.0) Gecko/20100101 Firefox/120.0";
    const first = readUserAgent(text);
    for (let i = 0; i < 5_000; i++) readUserAgent(`made up ${i}`);
    expect(readUserAgent(text)).toEqual(first);
    expect(readUserAgent(text)).not.toBe(first);
  });

  it("reads no more of a text than a real one has", () => {
    expect(readUserAgent(`Mozilla/5.0 (X11; Linux x86_64) ${"x".repeat(100_000)} Googlebot`).bot).toBe(false);
  });
});
