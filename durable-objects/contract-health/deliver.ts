/**
 * Calls of receivers, signed as Standard Webhooks has it. Nothing of an answer is read but its status, and no redirect is followed:
 * whoever may set an address could otherwise have read what only this Worker reaches. Each receiver has a chain of its own, one call
 * after the other, which ends with the first that fails: one that hangs holds up nobody else.
 */
import { WEBHOOKS } from "../../r2-layout/limits.ts";
import type { Attempt, WebhookTable } from "./webhook-table.ts";

export type Post = (url: string, init: RequestInit) => Promise<Response>;

/** All that is due. */
export async function deliverDue(table: WebhookTable, post: Post, now: () => number = Date.now): Promise<void> {
  await Promise.all(table.ids.map((webhook) => deliverTo(webhook, table, post, now)));
}

async function deliverTo(webhook: string, table: WebhookTable, post: Post, now: () => number): Promise<void> {
  for (;;) {
    const attempt = table.take(webhook, now());
    if (!attempt) return;
    const error = await send(attempt, post, now());
    table.settle(attempt, error, now());
    if (error !== null) return;
  }
}

/** @returns why it was not taken, null where it was. */
async function send({ id, url, secret, body }: Attempt, post: Post, now: number): Promise<string | null> {
  const timestamp = Math.floor(now / 1_000);
  const headers = {
    "content-type": "application/json",
    "user-agent": "eventpile",
    "webhook-id": id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": await signature(secret, `${id}.${timestamp}.${body}`),
  };
  const signal = AbortSignal.timeout(WEBHOOKS.answerMs);
  try {
    const response = await post(url, { method: "POST", headers, body, redirect: "manual", signal });
    await response.body?.cancel();
    if (response.ok) return null;
    const isRedirect = response.status >= 300 && response.status < 400;
    return `answered ${response.status}${isRedirect ? ", and redirects are not followed" : ""}`;
  } catch (error) {
    if (signal.aborted) return `no answer within ${WEBHOOKS.answerMs / 1_000} s`;
    return `cannot be reached: ${error}`.slice(0, WEBHOOKS.errorChars);
  }
}

const SECRET_PREFIX = "whsec_";
const SECRET_BYTES = 32;

export function newSecret(): string {
  return SECRET_PREFIX + base64(crypto.getRandomValues(new Uint8Array(SECRET_BYTES)));
}

/** `v1,` and the HMAC-SHA256 in base64. @param secret as newSecret makes it */
export async function signature(secret: string, text: string): Promise<string> {
  const bytes = Uint8Array.from(atob(secret.slice(SECRET_PREFIX.length)), (char) => char.charCodeAt(0));
  const key = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return `v1,${base64(new Uint8Array(await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(text))))}`;
}

const base64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes));
