/**
 * The local control of a run, under /local/ of its origin and only there: run the cron now, look at the queues, put a
 * message on one, make them misbehave, make calls of the Workers fail (`/local/chaos`), ask what they have used (`/local/usage`). Asks for the local admin token, so that no web page in a browser on this machine can call it.
 */
import { parseQueueChaos } from "../chaos-setting.ts";
import { askUsage, askWorkers } from "../faults/ask.ts";
import { parseFaultPlan } from "../faults/plan.ts";
import type { LocalQueueEnv } from "./local-queue.ts";
import { storedMessage } from "./stored-message.ts";

export interface ControlEnv extends LocalQueueEnv {
  readonly QUEUE_NAMES: readonly string[];
  readonly CRONS: Readonly<Record<string, readonly string[]>>;
  readonly CONTROL_TOKEN: string;
  /** Bindings of the Workers that can be told to have faults. */
  readonly FAULT_WORKERS: readonly string[];
}

/** What `service_binding_extra_handlers` adds to a service binding. */
interface Scheduled {
  scheduled(options: { cron: string; scheduledTime: Date }): Promise<{ outcome: string }>;
}

export async function control(request: Request, env: ControlEnv): Promise<Response> {
  if (request.headers.get("authorization") !== `Bearer ${env.CONTROL_TOKEN}`) return answer({ error: "token" }, 401);
  try {
    return await answerControl(request, env);
  } catch (error) {
    if (error instanceof RangeError || error instanceof SyntaxError) return answer({ error: error.message }, 400);
    throw error;
  }
}

async function answerControl(request: Request, env: ControlEnv): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  switch (`${request.method} ${pathname}`) {
    case "POST /local/cron":
      return answer(await runCrons(env, searchParams.get("name")));
    case "GET /local/queues":
      return answer(await Promise.all(env.QUEUE_NAMES.map((name) => queue(env, name).status())));
    case "POST /local/queues/wake":
      await Promise.all(env.QUEUE_NAMES.map((name) => queue(env, name).wake()));
      return answer({ queues: env.QUEUE_NAMES });
    case "POST /local/queues/chaos": {
      const chaos = parseQueueChaos(await request.json(), "chaos");
      const names = env.QUEUE_NAMES.filter((name) => name.startsWith(searchParams.get("queue") ?? ""));
      await Promise.all(names.map((name) => queue(env, name).setChaos(chaos)));
      return answer({ queues: names, chaos });
    }
    case "POST /local/queues/send": {
      const name = searchParams.get("queue") ?? "";
      if (!env.QUEUE_NAMES.includes(name)) throw new RangeError(`there is no queue ${JSON.stringify(name)}`);
      const body = await request.json();
      await queue(env, name).put([storedMessage(body, { contentType: typeof body === "string" ? "text" : "json" })]);
      return answer({ queue: name });
    }
    case "GET /local/chaos":
      return answer({ workers: await askWorkers(workers(env), env.CONTROL_TOKEN, null) });
    case "POST /local/chaos": {
      const plan = parseFaultPlan(await request.json());
      return answer({ plan, workers: await askWorkers(workers(env), env.CONTROL_TOKEN, plan) });
    }
    case "GET /local/usage":
    case "POST /local/usage":
      return answer({ workers: await askUsage(workers(env), env.CONTROL_TOKEN, request.method === "POST") });
    default:
      return answer({ error: "no such control" }, 404);
  }
}

/** Calls the scheduled handlers, as the platform does each minute, and waits for them. @param name instead of their own. */
async function runCrons(env: ControlEnv, name: string | null): Promise<{ ran: string[] }> {
  const ran: string[] = [];
  for (const [binding, crons] of Object.entries(env.CRONS)) {
    for (const cron of name === null ? crons : [name]) {
      const { outcome } = await (env[binding] as Scheduled).scheduled({ cron, scheduledTime: new Date() });
      ran.push(`${binding} ${cron} ${outcome}`);
    }
  }
  return { ran };
}

const workers = (env: ControlEnv) => env.FAULT_WORKERS.map((binding) => env[binding] as Fetcher);
const queue = (env: ControlEnv, name: string) => env.LOCAL_QUEUES.getByName(name);
const answer = (body: unknown, status = 200) => Response.json(body, { status });
