/** A Worker's own part of `/local/chaos`: POST sets the plan of its injector, both answer its report. */
import { faults } from "./injector.ts";
import type { FaultPlan } from "./plan.ts";

export async function answerFaults(
  request: Request,
  { worker, token }: { readonly worker: string; readonly token: string },
): Promise<Response> {
  if (request.headers.get("authorization") !== `Bearer ${token}`) return new Response("token", { status: 401 });
  if (request.method === "POST") faults.use(worker, (await request.json()) as FaultPlan);
  return Response.json(faults.report());
}
