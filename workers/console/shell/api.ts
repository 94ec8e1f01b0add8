/** Requests to the edge with the token of who is signed in. */
import { err, ok, type Result } from "../../../r2-layout/result.ts";
import { BROKEN_OFF, type Problem, readProblem, UNREACHABLE } from "./problem.ts";
import { rejectToken, token } from "./token.ts";

/** The answer as JSON. A refused token signs out. @throws AbortError where `signal` fired. */
export function request<T>(path: string, init: RequestInit = {}): Promise<Result<T, Problem>> {
  return requested(path, init, (response) => (response.status === 204 ? null : response.json()) as Promise<T>);
}

/** The answer as it comes. @throws AbortError where `signal` fired. */
export function requestBlob(path: string, init: RequestInit = {}): Promise<Result<Blob, Problem>> {
  return requested(path, init, (response) => response.blob());
}

async function requested<T>(
  path: string,
  init: RequestInit,
  read: (response: Response) => Promise<T>,
): Promise<Result<T, Problem>> {
  const used = token.value ?? "";
  let response: Response | undefined;
  try {
    response = await fetch(path, { ...init, headers: { ...init.headers, Authorization: `Bearer ${used}` } });
    if (response.ok) return ok(await read(response));
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    return err(response ? BROKEN_OFF : UNREACHABLE);
  }
  const problem = await readProblem(response);
  if (problem.status === 401) rejectToken(used);
  return err(problem);
}
