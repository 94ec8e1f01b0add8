/** How the local control reaches what it can ask of each Worker: a request to a host that nobody else has. */
import type { UsageReport } from "../meter/usage.ts";
import { USAGE_PATH } from "./answer.ts";
import type { FaultReport } from "./injector.ts";
import type { FaultPlan } from "./plan.ts";

export const FAULTS_HOST = "faults.invalid";

/** @param plan to be set in each Worker; null only asks. */
export const askWorkers = (
  workers: readonly Fetcher[],
  token: string,
  plan: FaultPlan | null,
): Promise<FaultReport[]> => ask(workers, token, "/", plan === null ? null : JSON.stringify(plan));

/** What each Worker has used; counted anew from then on where `anew`. */
export const askUsage = (workers: readonly Fetcher[], token: string, anew: boolean): Promise<UsageReport[]> =>
  ask(workers, token, USAGE_PATH, anew ? "" : null);

function ask<T>(workers: readonly Fetcher[], token: string, path: string, body: string | null): Promise<T[]> {
  return Promise.all(
    workers.map(async (worker) => {
      const response = await worker.fetch(`http://${FAULTS_HOST}${path}`, {
        method: body === null ? "GET" : "POST",
        headers: { authorization: `Bearer ${token}` },
        ...(body !== null && { body }),
      });
      if (!response.ok) throw new Error(`a Worker answered ${response.status}: ${await response.text()}`);
      return (await response.json()) as T;
    }),
  );
}
