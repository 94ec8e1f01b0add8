/**
 * The local control of a run, under /local/ of its origin and only there: run the cron now, look at the queues, make
 * them misbehave. Asks for the local admin token, so that no web page in a browser on this machine can call it.
 */
import type { LocalQueueEnv } from "./local-queue.ts";
import type { Chaos } from "./settings.ts";

export interface ControlEnv extends LocalQueueEnv {
  readonly QUEUE_NAMES: readonly string[];
  readonly CRONS: Readonly<Record<string, readonly string[]>>;
  readonly CONTROL_TOKEN: string;
}

/** What `service_binding_extra_handlers` adds to a service binding. */
interface Scheduled {
  scheduled(options: { cron: string; scheduledTime: Date }): Promise<{ outcome: string }>;
}

export async function control(request: Request, env: ControlEnv): Promise<Response> {
  if (request.headers.get("authorization") !== `Bearer ${env.CONTROL_TOKEN}`) return answer({ error: "token" }, 401);
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
      const chaos = (await request.json()) as Chaos;
      const names = env.QUEUE_NAMES.filter((name) => name.startsWith(searchParams.get("queue") ?? ""));
      await Promise.all(names.map((name) => queue(env, name).setChaos(chaos)));
      return answer({ queues: names, chaos });
    }
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

const queue = (env: ControlEnv, name: string) => env.LOCAL_QUEUES.getByName(name);
const answer = (body: unknown, status = 200) => Response.json(body, { status });
