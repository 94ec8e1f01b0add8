/**
 * The load of `bench:ingest`, in a process of its own: `node ingest-load.ts <url> <requests> <concurrency> <first id>`.
 * Prints {"ms", "accepted", "latencies"} as JSON.
 */
import { Agent, request } from "node:http";
import { eventsBatch } from "./segment-events.ts";

const [url, requests, concurrency, firstId] = [process.argv[2]!, ...process.argv.slice(3).map(Number)] as [
  string,
  number,
  number,
  number,
];
const agent = new Agent({ keepAlive: true, maxSockets: concurrency });
const headers = { authorization: `Basic ${btoa("dev:")}`, "content-type": "text/plain", "user-agent": "bench" };
/** Made before the clock starts; each has ids of its own. */
const bodies = Array.from({ length: requests }, (_, i) => Buffer.from(eventsBatch(firstId + i)));

function post(body: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      `${url}/v1/batch`,
      { method: "POST", agent, headers: { ...headers, "content-length": body.length } },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("end", () => {
          if (response.statusCode === 200) resolve((JSON.parse(text) as { accepted: number }).accepted);
          else reject(new Error(`${response.statusCode}: ${text}`));
        });
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

let next = 0;
let accepted = 0;
const latencies: number[] = [];
async function sender(): Promise<void> {
  while (next < requests) {
    const body = bodies[next++]!;
    const start = performance.now();
    const taken = await post(body);
    latencies.push(performance.now() - start);
    accepted += taken;
  }
}

const start = performance.now();
await Promise.all(Array.from({ length: concurrency }, sender));
console.log(JSON.stringify({ ms: performance.now() - start, accepted, latencies }));
agent.destroy();
