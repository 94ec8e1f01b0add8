import { env, SELF } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import type { UserTimelineApi } from "../../../durable-objects/user-timeline/api.ts";
import { timelineName } from "../../../durable-objects/user-timeline/timeline-name.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { MASKED_COLUMNS, SEEING, SOURCE, TOKEN } from "./edge-config.ts";

const timelines = (env as unknown as { USER_TIMELINE: ObjectNamespace<UserTimelineApi> }).USER_TIMELINE;
const ask = (path: string, token: string, init: RequestInit = {}) =>
  SELF.fetch(`https://collect.example${path}`, { ...init, headers: { authorization: `Bearer ${token}` } });

async function keep(user: string): Promise<void> {
  const at = Date.now() * 1_000;
  const event = { event_id: "e1", event_name: "page", event_type: "page", source: SOURCE, user_id: user } as const;
  const row: EventRow = {
    ...event,
    received_at: at,
    event_time: at,
    log_shard: 0,
    log_seq: 1,
    screen: "9x9",
    city: "Bern",
  };
  await timelines
    .getByName(timelineName("test-identity-key", { kind: "user", id: user }))
    .append({ subject: { kind: "user", id: user }, shard: 0, from: 1, to: 1, events: [row] });
}

describe("a token that sees a part", () => {
  it.each([
    ["/v1/sql", { sources: ["web"], masked: [] }, SEEING.web],
    ["/v1/sql", { sources: null, masked: MASKED_COLUMNS }, TOKEN.sql],
    ["/v1/sql", null, SEEING.pii],
    ["/v1/sql", null, TOKEN.admin],
    ["/v1/statement", { sources: ["web"], masked: [] }, SEEING.web],
  ])("asks %s as one that sees %j", async (path, expected, token) => {
    const answer = (await (await ask(path, token, { method: "POST", body: "{}" })).json()) as { sight: string | null };
    const sight = answer.sight === null ? null : JSON.parse(decodeURIComponent(answer.sight));
    if (expected === null) expect(sight).toBeNull();
    else expect(sight).toEqual({ ...expected, pseudonymKey: expect.stringMatching(/^[0-9a-f]{64}$/) });
  });

  it("is told so", async () => {
    expect(await (await ask("/v1/token", SEEING.web)).json()).toEqual({ scopes: ["sql", "pii"], sources: ["web"] });
    expect(await (await ask("/v1/token", TOKEN.sql)).json()).toEqual({ scopes: ["sql"], masked: MASKED_COLUMNS });
    expect(await (await ask("/v1/token", SEEING.pii)).json()).toEqual({ scopes: ["support", "sql", "pii"] });
  });

  it("is refused what is counted of all sources", async () => {
    const refused = await ask("/v1/contracts/Order/health", SEEING.web);
    expect([refused.status, await refused.json()]).toMatchObject([403, { reason: "sees_a_part" }]);
    for (const path of ["/v1/rollups/changes", "/v1/users/x/events", "/iceberg/v1/namespaces"]) {
      expect((await ask(path, SEEING.web)).status, path).toBe(403);
    }
  });
});

describe("support where columns are masked", () => {
  it.each(["/events", "/export?format=ndjson", "/export?format=csv", "/export"])(
    "%s has them only with pii",
    async (end) => {
      await keep("masked ann");
      const path = `/v1/users/${encodeURIComponent("masked ann")}${end}`;
      const plain = await (await ask(path, SEEING.pii)).text();
      const masked = await (await ask(path, TOKEN.support)).text();
      expect([plain.includes("9x9"), plain.includes("Bern")]).toEqual([true, true]);
      expect([masked.includes("9x9"), masked.includes("Bern")]).toEqual([false, true]);
    },
  );
});
