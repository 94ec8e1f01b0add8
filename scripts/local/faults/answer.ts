/** A Worker's own part of `/local/chaos` (POST sets the plan of its injector, both answer its report) and of `/local/usage` (POST begins anew). */
import { usage } from "../meter/usage.ts";
import { faults } from "./injector.ts";
import type { FaultPlan } from "./plan.ts";

export const USAGE_PATH = "/usage";

export async function answerFaults(
  request: Request,
  { worker, token }: { readonly worker: string; readonly token: string },
): Promise<Response> {
  if (request.headers.get("authorization") !== `Bearer ${token}`) return new Response("token", { status: 401 });
  if (new URL(request.url).pathname === USAGE_PATH) {
    const report = usage.report();
    if (request.method === "POST") usage.reset();
    return Response.json(report);
  }
  if (request.method === "POST") faults.use(worker, (await request.json()) as FaultPlan);
  return Response.json(faults.report());
}
