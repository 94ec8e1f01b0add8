import { SELF } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { idHash } from "../../../r2-layout/event-id.ts";
import { messageIds } from "../../../r2-layout/event-message.ts";
import { INGEST } from "../../../r2-layout/limits.ts";
import { deliveredEvents } from "./delivered.ts";
import { SOURCE, WRITE_KEY } from "./edge-config.ts";

const post = (path: string, ids: readonly string[], headers: Record<string, string> = {}) =>
  SELF.fetch(`https://collect.example${path}`, {
    method: "POST",
    headers: { authorization: `Basic ${btoa(`${WRITE_KEY}:`)}`, ...headers },
    body: JSON.stringify({
      batch: ids.map((messageId) => ({ type: "track", event: "Sent again", messageId, anonymousId: "a" })),
    }),
  });

describe("events that are sent again to replace earlier ones", () => {
  it.each([
    ["the query", "republish-query", "/v1/batch?republish=wrong-device.1", {}],
    ["a header", "republish-header", "/v1/batch", { "Eventpile-Republish": "wrong-device.1" }],
  ])("are marked, and have an id of their own for each label, by %s", async (_, id, path, headers) => {
    expect((await post("/v1/batch", [id])).status).toBe(200);
    expect((await post(path, [id], headers as Record<string, string>)).status).toBe(200);
    await expect.poll(async () => (await deliveredEvents([id])).length).toBe(2);
    const [first, again] = await deliveredEvents([id]);
    expect(first!.row.flags ?? []).not.toContain("republished");
    expect(again!.row.flags).toContain("republished");
    expect(again!.header.republish).toBe("wrong-device.1");
    expect([...messageIds(first!.header)]).toEqual([...idHash("event", SOURCE, id)]);
    expect([...messageIds(again!.header)]).toEqual([...idHash("event", SOURCE, id, "wrong-device.1")]);
    expect([...messageIds(again!.header)]).not.toEqual([...messageIds(first!.header)]);
  });

  it.each(["", " ", "a b", "a/b", "ä", "x".repeat(INGEST.republishLabelChars + 1)])(
    "promise 9: are refused under the label %j, before anything is read",
    async (label) => {
      const response = await post(`/v1/batch?republish=${encodeURIComponent(label)}`, ["refused"]);
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ reason: "bad_parameter", parameter: "republish" });
    },
  );

  it("promise 9: take a label of the longest length", async () => {
    const label = "x".repeat(INGEST.republishLabelChars);
    expect((await post(`/v1/batch?republish=${label}`, ["longest-label"])).status).toBe(200);
    expect((await deliveredEvents(["longest-label"]))[0]!.header.republish).toBe(label);
  });
});
