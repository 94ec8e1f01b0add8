/** What went wrong, as the server says it (application/problem+json) or as the browser found it. */
export interface Problem {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  readonly reason: string;
  readonly title: string;
  readonly detail?: string;
  readonly retryAfterS?: number;
  /** The whole document: what else it says depends on its reason. */
  readonly document?: Readonly<Record<string, unknown>>;
}

export const UNREACHABLE: Problem = {
  status: 0,
  reason: "unreachable",
  title: "The server cannot be reached",
  detail: "The network is down, or the server is not running.",
};

/** An answer began well and has no end that can be read: a long one is sent while it is made. */
export const BROKEN_OFF: Problem = {
  status: 0,
  reason: "broken_off",
  title: "The answer broke off",
  detail: "The connection was lost, or the server failed while the answer was under way.",
};

/** Reads an answer that is not 2xx; a body that is no problem document still gives its status. */
export async function readProblem(response: Response): Promise<Problem> {
  const body = (await response.json().catch(() => null)) as Record<string, unknown> | null;
  const text = (key: string) =>
    typeof body?.[key] === "string" && body[key] !== "" ? (body[key] as string) : undefined;
  const retryAfterS = Number(response.headers.get("Retry-After")) || undefined;
  return {
    status: response.status,
    reason: text("reason") ?? `http_${response.status}`,
    title: text("title") ?? `The server answered ${response.status}`,
    detail: text("detail"),
    retryAfterS,
    ...(body !== null && { document: body }),
  };
}
