/** Requests to the edge with the token of who is signed in. */
import { err, ok, type Result } from "../../../r2-layout/result.ts";
import { type Problem, readProblem, UNREACHABLE } from "./problem.ts";
import { rejectToken, token } from "./token.ts";

/** The answer as JSON. A refused token signs out. @throws AbortError where `signal` fired. */
export async function request<T>(path: string, init: RequestInit = {}): Promise<Result<T, Problem>> {
  const used = token.value ?? "";
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers: { ...init.headers, Authorization: `Bearer ${used}` } });
    if (response.ok) return ok((await response.json()) as T);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    return err(UNREACHABLE);
  }
  const problem = await readProblem(response);
  if (problem.status === 401) rejectToken(used);
  return err(problem);
}
