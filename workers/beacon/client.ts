/** The calls a page makes. None of them throws: a measurement must not break what it measures. */
import { type BeaconEvent, SDK } from "./event.ts";
import type { Identity } from "./identity.ts";
import type { Sender, SenderOptions } from "./sender.ts";

export type Properties = Readonly<Record<string, unknown>>;

export interface Options extends SenderOptions {
  writeKey: string;
  /** Origin of the edge. */
  endpoint: string;
  /** Page views without a call: at load, and when the address changes. */
  autoPage: boolean;
  app?: { readonly name?: string; readonly version?: string };
}

export interface Client {
  page(properties?: Properties): void;
  track(name: string, properties?: Properties): void;
  identify(userId: string, traits?: Properties): void;
  reset(): void;
  flush(): Promise<void>;
  configure(options: Partial<Options>): void;
}

/** The part of an event that the page knows. */
export type PageContext = Pick<BeaconEvent, "page_url" | "page_title" | "referrer" | "locale" | "screen">;

export function createClient(
  options: Options,
  identity: Identity,
  sender: Sender,
  context: () => PageContext,
  now: () => number,
  newId: () => string,
): Client {
  const send = (
    event_type: BeaconEvent["event_type"],
    event_name: string,
    more: Pick<BeaconEvent, "properties" | "traits">,
  ) => {
    try {
      const event: BeaconEvent = {
        event_id: newId(),
        event_type,
        event_name,
        client_time: new Date(now()).toISOString(),
        ...identity.next(),
        ...context(),
        sdk: SDK,
        app_name: options.app?.name,
        app_version: options.app?.version,
        ...more,
      };
      sender.add(JSON.stringify(event));
    } catch (error) {
      // Properties that are no JSON: a cycle, a BigInt.
      console.warn("eventpile:", error);
    }
  };
  return {
    page: (properties) => send("page", "page", { properties }),
    track: (name, properties) => send("track", `${name}`, { properties }),
    identify(userId, traits) {
      identity.identify(`${userId}`);
      send("identify", "identify", { traits });
    },
    reset: identity.reset,
    flush: sender.flush,
    configure: (changes) => void Object.assign(options, changes),
  };
}
