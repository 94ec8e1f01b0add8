/** Finds a running local system: at EVENTPILE_URL, else at PORT, else at 8787, and calls its local control. */
import { LOCAL_TOKEN } from "./credentials.ts";

export function systemUrl(env: Readonly<Record<string, string | undefined>> = process.env): string {
  return (env.EVENTPILE_URL || `http://localhost:${env.PORT || 8787}`).replace(/\/+$/, "");
}

/** @throws Error where the system does not answer, or refuses. */
export async function control(
  method: "GET" | "POST",
  path: `/local/${string}`,
  body?: unknown,
  url: string = systemUrl(),
): Promise<unknown> {
  const response = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${LOCAL_TOKEN}` },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${url}${path} answered ${response.status}: ${await response.text()}`);
  return response.json();
}
