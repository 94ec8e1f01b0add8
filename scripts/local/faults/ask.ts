/** How the local control reaches the injectors, one in each Worker: a request to a host that nobody else has. */
import type { FaultReport } from "./injector.ts";
import type { FaultPlan } from "./plan.ts";

export const FAULTS_HOST = "faults.invalid";

/** @param plan to be set in each Worker; null only asks. */
export function askWorkers(workers: readonly Fetcher[], token: string, plan: FaultPlan | null): Promise<FaultReport[]> {
  return Promise.all(
    workers.map(async (worker) => {
      const response = await worker.fetch(`http://${FAULTS_HOST}/`, {
        method: plan === null ? "GET" : "POST",
        headers: { authorization: `Bearer ${token}` },
        ...(plan !== null && { body: JSON.stringify(plan) }),
      });
      if (!response.ok) throw new Error(`a Worker answered ${response.status}: ${await response.text()}`);
      return (await response.json()) as FaultReport;
    }),
  );
}
