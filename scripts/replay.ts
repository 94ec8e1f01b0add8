/**
 * `npm run replay -- --sinks rollups --mode rebuild --from ... --to ... [--confirm] [--watch]`: replays events of a
 * running system into its sinks, found at EVENTPILE_URL, else at PORT on this machine, else at port 8787. The token is
 * EVENTPILE_TOKEN, else the local run's.
 */
import { parseArgs } from "node:util";
import type { JobJson } from "../workers/job-json.ts";
import { LOCAL_TOKEN } from "./local/credentials.ts";
import { systemUrl } from "./local/running-system.ts";
import { ReplayProgress } from "./replay/progress.ts";

const USAGE = `usage: npm run replay -- --sinks SINK[,SINK] [--mode fill|rebuild] [--from TIME] [--to TIME]
                         [--shard N --from-seq N --to-seq N] [--rate EVENTS_PER_SECOND] [--swap automatic|manual]
                         [--confirm] [--watch]
       npm run replay -- --id JOB [--watch] [--swap-now | --confirm | --revert | --cancel | --resume | --leave-out | --abandon]
  sinks: lake, sessions, rollups. A rebuild is built beside the live store, compared and swapped in; --confirm lets the
  old one go as soon as it is. Without --watch or --confirm the job runs on by itself.`;
const LOOK_MS = 500;

const { values } = options();
const url = systemUrl();
try {
  const given = values.id ? await find(values.id) : await begin();
  const waits = values.watch || values.confirm;
  const seen = waits ? await watched(given.id) : given;
  const job = values.confirm && seen.state === "waiting_for_confirmation" ? await confirmed(seen.id) : seen;
  report(job);
  if (job.state === "failed") process.exitCode = 1;
} catch (error) {
  const cause = error instanceof Error && error.cause ? `${url} cannot be reached: ${error.cause}` : error;
  console.error(`replay: ${cause instanceof Error ? cause.message : String(cause)}`);
  process.exitCode = 1;
}

function options() {
  try {
    const parsed = parseArgs({
      options: {
        sinks: { type: "string" },
        mode: { type: "string" },
        from: { type: "string" },
        to: { type: "string" },
        shard: { type: "string" },
        "from-seq": { type: "string" },
        "to-seq": { type: "string" },
        rate: { type: "string" },
        swap: { type: "string" },
        id: { type: "string" },
        watch: { type: "boolean" },
        confirm: { type: "boolean" },
        revert: { type: "boolean" },
        cancel: { type: "boolean" },
        resume: { type: "boolean" },
        "leave-out": { type: "boolean" },
        abandon: { type: "boolean" },
        "swap-now": { type: "boolean" },
      },
    });
    if (!parsed.values.sinks && !parsed.values.id) throw new Error("--sinks is missing");
    return parsed;
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    process.exit(2);
  }
}

async function begin(): Promise<JobJson> {
  const number = (text: string | undefined) => (text === undefined ? undefined : Number(text));
  return call("POST", "/v1/replays", {
    sinks: values.sinks!.split(",").map((sink) => sink.trim()),
    mode: values.mode,
    from: values.from,
    to: values.to,
    shard: number(values.shard),
    from_seq: number(values["from-seq"]),
    to_seq: number(values["to-seq"]),
    rate: number(values.rate),
    swap: values.swap,
  });
}

/** The job, after what is to be done with it. */
async function find(id: string): Promise<JobJson> {
  const action = values["swap-now"]
    ? "swap"
    : values["leave-out"]
      ? "leave_out"
      : (["revert", "cancel", "resume", "abandon"] as const).find((name) => values[name]);
  const path = `/v1/replays/${encodeURIComponent(id)}`;
  return action ? call("POST", `${path}/${action}`, {}) : call("GET", path);
}

async function confirmed(id: string): Promise<JobJson> {
  await call("POST", `/v1/replays/${encodeURIComponent(id)}/confirm`, {});
  return watched(id);
}

/** Draws how far it has come, until it has ended or waits for somebody. */
async function watched(id: string): Promise<JobJson> {
  const progress = new ReplayProgress();
  for (;;) {
    const job = await call("GET", `/v1/replays/${encodeURIComponent(id)}`);
    progress.show(job);
    if (!["running", "confirming", "reverting", "cancelling", "abandoning"].includes(job.state)) {
      progress.done();
      return job;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** @throws Error with the problem's title, where it is refused. */
async function call(method: "GET" | "POST", path: string, body?: unknown): Promise<JobJson> {
  const response = await fetch(url + path, {
    method,
    headers: {
      authorization: `Bearer ${process.env.EVENTPILE_TOKEN || LOCAL_TOKEN}`,
      "content-type": "application/json",
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const answer = (await response.json().catch(() => ({}))) as Record<string, unknown>;
  if (response.status === 404 && values.id) throw new Error(`there is no job ${values.id}`);
  if (!response.ok) {
    const { title = `answered ${response.status}`, parameter, detail } = answer;
    throw new Error([title, [parameter, detail].filter(Boolean).join(": ")].filter(Boolean).join("; "));
  }
  return answer as unknown as JobJson;
}

function report(job: JobJson): void {
  console.log(`${job.id}: ${job.state}${job.outcome ? `, ${job.outcome}` : ""}`);
  for (const { sink, identical, before, after, differences } of job.comparison ?? []) {
    console.log(`${sink}: ${identical ? "the same as before" : "differs"}, ${before} events before, ${after} after`);
    for (const difference of differences.slice(0, 5)) console.log(`  ${difference}`);
    if (differences.length > 5) console.log(`  … and ${differences.length - 5} more`);
  }
  if (job.error) console.log(`last failure (${job.attempts} in a row): ${job.error}`);
  const again = `npm run replay -- --id ${job.id}`;
  if (job.state === "waiting_for_confirmation")
    console.log(`let the old one go: ${again} --confirm; or back: ${again} --revert`);
  if (job.state === "waiting_for_swap") console.log(`swap it in: ${again} --swap-now; or let it go: ${again} --cancel`);
  if (job.state === "running") console.log(`see how far it is: ${again} --watch`);
  if (job.state === "failed") console.log(`once the cause is gone: ${again} --resume`);
  if (job.actions.includes("leave_out")) console.log(`without what cannot be read: ${again} --leave-out`);
  if (job.actions.includes("abandon")) console.log(`so that others can have its sinks: ${again} --abandon`);
}
