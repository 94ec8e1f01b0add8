import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../../../workers/edge/derive/json.ts";
import { type Campaign, readCampaign, readPage } from "../../../../workers/edge/derive/page.ts";

describe("a page's address", () => {
  it.each([
    ["https://Shop.Example:8443/a/b?x=1#top", "https://Shop.Example:8443/a/b?x=1", "shop.example:8443", "/a/b"],
    ["https://shop.example", "https://shop.example", "shop.example", "/"],
    ["https://shop.example?x=/y", "https://shop.example?x=/y", "shop.example", "/"],
    ["https://user:pass@shop.example/a", "https://user:pass@shop.example/a", "shop.example", "/a"],
    ["file:///C:/index.html", "file:///C:/index.html", undefined, "/C:/index.html"],
    ["/relative?x#y", "/relative?x", undefined, undefined],
    ["#only", undefined, undefined, undefined],
    ["https://[::1]:80/x", "https://[::1]:80/x", "[::1]:80", "/x"],
  ])("%s", (given, url, host, path) => {
    expect(readPage([{ url: given }])).toMatchObject({ url, host, path });
  });

  it("takes each part from the first place that has it", () => {
    expect(readPage([{ title: "A" }, { title: "B", path: "/b", url: "https://x.example/u" }])).toMatchObject({
      title: "A",
      path: "/b",
      host: "x.example",
    });
  });
});

describe("a campaign", () => {
  const none = { medium: undefined, campaign: undefined, term: undefined, content: undefined };

  it.each([
    [
      "the query",
      {},
      "https://a.example/?utm_source=mail&utm_campaign=a%20b&utm_x=1",
      { source: "mail", campaign: "a b" },
    ],
    [
      "the context, by Segment's names",
      { name: "autumn", source: "ad" },
      undefined,
      { campaign: "autumn", source: "ad" },
    ],
    [
      "the context above the query",
      { source: "ad" },
      "https://a.example/?utm_source=mail&utm_term=t",
      { source: "ad", term: "t" },
    ],
    ["a broken query, as far as it goes", {}, "https://a.example/?utm_source=%E0%A4%A&utm_term=t", { term: "t" }],
    ["an empty parameter says nothing", {}, "https://a.example/?utm_source=", {}],
    ["a path is not a query", {}, "https://a.example/utm_source=x", {}],
  ] as readonly [string, JsonObject, string | undefined, Partial<Campaign>][])("from %s", (_, given, url, expected) => {
    const { source, ...rest } = readCampaign(given, url);
    expect({ ...rest, source: undefined }).toEqual({ ...none, ...expected, source: undefined });
    if ("source" in expected) expect(source).toBe(expected.source);
  });
});
