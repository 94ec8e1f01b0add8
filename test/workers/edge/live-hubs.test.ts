import { describe, expect, it } from "vitest";
import { FULL_HEADER, HUB_HEADER, HUBS_HEADER, ROOT_HUB } from "../../../durable-objects/live-hub/api.ts";
import { LIVE } from "../../../r2-layout/limits.ts";
import { liveHubs } from "../../../workers/edge/live-hubs.ts";

const URL_ = new URL("http://edge/v1/live?topics=minutes&resume=7");

/** Hubs with so much room; the root names, of those that were not found full, the first with any. */
function tree(room: Record<string, number>) {
  const asked: string[] = [];
  const take = (name: string): Response | null => (room[name]!-- > 0 ? new Response(name) : null);
  const namespace = {
    getByName: (name: string) => ({
      async fetch(request: Request) {
        asked.push(name);
        expect(request.headers.get(HUB_HEADER)).toBe(name);
        expect(new URL(request.url).searchParams.get("resume")).toBe("7");
        const taken = take(name);
        if (taken) return taken;
        if (name !== ROOT_HUB) return new Response(null, { status: 421 });
        const full = request.headers.get(FULL_HEADER)!.split(",");
        const names = Object.keys(room).filter((one) => one !== ROOT_HUB && !full.includes(one));
        if (names.length === 0) return new Response(null, { status: 503 });
        return new Response(null, { status: 421, headers: { [HUBS_HEADER]: names[0]! } });
      },
    }),
  };
  return { namespace, asked };
}

/** As a client that says for itself where it wants to go. */
const request = () => new Request(URL_, { headers: { [HUB_HEADER]: "live:9", [FULL_HEADER]: "live:1" } });

describe("where a socket goes", () => {
  it("is the root as long as it has room, whatever the client says of hubs", async () => {
    const { namespace, asked } = tree({ live: 2, "live:1": 1 });
    const hubs = liveHubs(namespace, () => 0.99);
    for (let i = 0; i < 2; i++) expect(await (await hubs.open(URL_, request())).text()).toBe("live");
    expect(asked).toEqual(["live", "live"]);
  });

  it("is a hub that the root names, which is remembered, until it is full or LIVE.hubsKnownMs have passed", async () => {
    const { namespace, asked } = tree({ live: 0, "live:1": 2, "live:2": 9 });
    let now = 0;
    const hubs = liveHubs(
      namespace,
      () => 0.99,
      () => now,
    );
    const open = async () => {
      asked.length = 0;
      const taken = await (await hubs.open(URL_, request())).text();
      return [taken, ...asked];
    };
    expect(await open()).toEqual(["live:1", "live", "live:1"]);
    expect(await open()).toEqual(["live:1", "live:1"]);
    expect(await open()).toEqual(["live:2", "live:1", "live", "live:2"]);
    expect(await open()).toEqual(["live:2", "live:2"]);
    now += LIVE.hubsKnownMs;
    expect(await open()).toEqual(["live:2", "live", "live:1", "live", "live:2"]);
  });

  it("is nowhere when all are full: the root says so", async () => {
    const { namespace } = tree({ live: 0, "live:1": 0, "live:2": 0 });
    expect((await liveHubs(namespace).open(URL_, request())).status).toBe(503);
  });
});
