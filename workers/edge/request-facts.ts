/** What a request says of its events besides its body: who sent it, when it came, from where. */

export interface RequestFacts {
  readonly source: string;
  /** Microseconds, the edge's clock. */
  readonly receivedAt: number;
  readonly country: string | null;
  readonly region: string | null;
  readonly city: string | null;
  /** The address of the connection: compared with what the sender says of its user's, then dropped. */
  readonly address: string | null;
  readonly userAgent: string | null;
  readonly idempotencyKey: string | null;
  /** What the path says the body is: one call, a batch of calls, or events under the columns' names. */
  readonly call: Call;
  /** The label under which the sender sends these events again, to replace earlier ones; absent: they are new. */
  readonly republish?: string;
}

export type Call = "track" | "page" | "screen" | "identify" | "group" | "alias" | "batch" | "events";

interface ConnectionPlace {
  readonly country?: unknown;
  readonly region?: unknown;
  readonly city?: unknown;
}

/**
 * @param request its headers, and `cf` where Cloudflare's network (or the local runtime) has put a place there.
 * @param local the local run, and only it, lets headers `x-eventpile-country`, `-region` and `-city` stand for the
 *   connection's place, so that generated traffic can come from many. No header can name the time.
 */
export function requestFacts(
  request: Request,
  part: { source: string; call: Call; receivedAt: number; local: boolean; republish?: string | undefined },
): RequestFacts {
  const { headers } = request;
  const given = part.local && headers.has("x-eventpile-country");
  const place: ConnectionPlace = given
    ? {
        country: headers.get("x-eventpile-country"),
        region: headers.get("x-eventpile-region"),
        city: headers.get("x-eventpile-city"),
      }
    : ((request.cf ?? {}) as ConnectionPlace);
  return {
    source: part.source,
    call: part.call,
    receivedAt: part.receivedAt,
    country: countryCode(place.country),
    region: textOrNull(place.region),
    city: textOrNull(place.city),
    address: headers.get("cf-connecting-ip"),
    userAgent: headers.get("user-agent"),
    idempotencyKey: headers.get("idempotency-key"),
    ...(part.republish !== undefined && { republish: part.republish }),
  };
}

/** Two letters, upper case; `XX` is Cloudflare's word for not knowing. */
export function countryCode(value: unknown): string | null {
  if (typeof value !== "string" || !/^[A-Za-z][A-Za-z0-9]$/.test(value)) return null;
  const code = value.toUpperCase();
  return code === "XX" ? null : code;
}

const textOrNull = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null);
