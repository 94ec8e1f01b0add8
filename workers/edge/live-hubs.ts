/**
 * Which hub takes a socket. The root does as long as it has room; then it names hubs below it. Those are remembered for a while,
 * so that a wall of screens that comes back in one moment does not pass through the root.
 */
import { FULL_HEADER, HUB_HEADER, HUBS_HEADER, ROOT_HUB } from "../../durable-objects/live-hub/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { INGEST, LIVE } from "../../r2-layout/limits.ts";
import { problem } from "../problem.ts";
import type { Fetches } from "./env.ts";

export interface LiveHubs {
  /** @returns the answer of the hub that takes the socket, or refuses it. */
  open(url: URL, request: Request): Promise<Response>;
}

/** Hubs that are asked for one socket: where all are just full, others are about to be named. */
const TRIES = 10;

/** @param random from 0 up to 1 @param clock milliseconds */
export function liveHubs(hubs: ObjectNamespace<Fetches>, random = Math.random, clock = Date.now): LiveHubs {
  let known: { readonly names: readonly string[]; readonly until: number } | null = null;

  const ask = (name: string, url: URL, request: Request, full: readonly string[]): Promise<Response> => {
    const asked = new Request(url, request);
    // Whatever the client has sent by these names.
    asked.headers.set(HUB_HEADER, name);
    asked.headers.set(FULL_HEADER, full.join(","));
    return hubs.getByName(name).fetch(asked);
  };

  return {
    async open(url, request) {
      const full: string[] = [];
      for (let tries = 0; tries < TRIES; tries++) {
        const names = known && known.until > clock() ? known.names.filter((one) => !full.includes(one)) : [];
        // Some ask the root all the same: it has room again when screens were turned off.
        const isRoot = tries === 0 && random() < 1 / (names.length + 1);
        const name = isRoot || names.length === 0 ? ROOT_HUB : names[Math.floor(random() * names.length)]!;
        const response = await ask(name, url, request, full);
        if (response.status !== 421) return response;
        if (name !== ROOT_HUB) full.push(name);
        else known = { names: (response.headers.get(HUBS_HEADER) ?? "").split(","), until: clock() + LIVE.hubsKnownMs };
      }
      return problem({ reason: "too_busy", retry_after_s: INGEST.retryAfterSeconds });
    },
  };
}
