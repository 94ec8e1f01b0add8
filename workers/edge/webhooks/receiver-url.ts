/**
 * Which addresses may be called: https, by the name of a host in the public name space, and nothing that is part of a secret. What
 * the name resolves to is not seen here; a deployed Worker's calls leave from Cloudflare's network, which reaches no private address.
 * In the local run http and this machine are allowed, because that is where a receiver is tried.
 */
import { WEBHOOKS } from "../../../r2-layout/limits.ts";
import { badParameter } from "../parameters.ts";

const EXPECTED = "an https address of a host by its public name, without user, password and fragment";
/** Names that are only ever answered inside somebody's network, or by the machine itself. */
const PRIVATE_NAMES = /(^|\.)(localhost|local|internal|intranet|lan|home|corp|private|home\.arpa|test|invalid|onion)$/;
const LOOPBACK = new Set(["127.0.0.1", "localhost", "[::1]"]);

/** @throws Refused */
export function receiverUrl(given: unknown, isLocal: boolean): string {
  const url = typeof given === "string" && given.length <= WEBHOOKS.urlChars ? URL.parse(given) : null;
  if (url === null || `${url.username}${url.password}${url.hash}` !== "") throw badParameter("url", EXPECTED);
  const isAllowed = url.protocol === "https:" && isPublicName(url.hostname);
  const isTried = isLocal && ["http:", "https:"].includes(url.protocol) && LOOPBACK.has(url.hostname);
  if (!isAllowed && !isTried) throw badParameter("url", EXPECTED);
  return url.href;
}

/** URL has written every form of an IPv4 address (hexadecimal, one number) as four numbers, and IPv6 in brackets. */
function isPublicName(host: string): boolean {
  const name = host.replace(/\.$/, "");
  return name.includes(".") && !name.startsWith("[") && !/^[\d.]+$/.test(name) && !PRIVATE_NAMES.test(name);
}
