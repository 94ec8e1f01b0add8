/** What went wrong, as the server says it (application/problem+json) or as the browser found it. */
export interface Problem {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  readonly reason: string;
  readonly title: string;
  readonly detail?: string;
  readonly retryAfterS?: number;
}

export const UNREACHABLE: Problem = {
  status: 0,
  reason: "unreachable",
  title: "The server cannot be reached",
  detail: "The network is down, or the server is not running.",
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
  };
}
