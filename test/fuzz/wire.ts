/**
 * What is no HTTP, or only its beginning, on a connection of its own. The runtime's own server answers most of it before any
 * Worker sees it, some with 500 and 501 in plain text; what a Worker answers is a problem document.
 */
import { connect } from "node:net";
import type { Random } from "../../scripts/demo/random.ts";
import { ORIGIN_HEADERS, type RunningSystem } from "../system/harness.ts";

/** A server that waits for the rest is hung up on after so long. */
const SILENT_MS = 100;

const batch = (headers: string, body: string) => `POST /v1/batch HTTP/1.1\r\nhost: x\r\n${headers}\r\n\r\n${body}`;
const events = (headers: string, body: string) => batch(headers, body).replace("/v1/batch", "/v1/events");

const REQUESTS = [
  (auth: string) => batch(`${auth}content-length: 500`, '{"batch":[{"type":"page","messageId":"wire-cut"}]}'),
  (auth: string) => batch(`${auth}content-length: -5`, "{}"),
  (auth: string) => batch(`${auth}content-length: 5\r\ncontent-length: 6`, "{}   "),
  (auth: string) => events(`${auth}transfer-encoding: chunked`, 'zz\r\n{"type":"page","messageId":"wire-chunk"}\r\n'),
  (auth: string) => events(`${auth}transfer-encoding: chunked`, '28\r\n{"type":"page","messageId":"wire-half"}'),
  (auth: string) => batch(`${auth}x: ${"y".repeat(100_000)}`, ""),
  (auth: string) => batch(`${auth}\u0000: 1`, ""),
  () => batch("authorization: Basic \u00ff\u00fe=:\r\ncontent-length: 2", "{}"),
  () => `POST /v1/${"%".repeat(50)}?writeKey=%ff%fe HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n`,
  () => "POST /v1/batch HTTP/9.9\r\n\r\n",
  () => "POST\r\n\r\n",
  () => "\u0016\u0003\u0001\u0002\u0000\u0001\u0000",
] as const;

/** @returns the status, or `closed` where there was none. @throws Error where a Worker answered with 5xx. */
export function sendWire(system: RunningSystem, random: Random): Promise<string> {
  const text = random.pick(REQUESTS)(`authorization: ${ORIGIN_HEADERS.write.authorization}\r\n`);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(system.url).port), "127.0.0.1");
    let answer = "";
    const end = () => {
      socket.destroy();
      const status = /^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? "closed";
      const isWorkers = answer.includes("problem+json");
      if (status.startsWith("5") && isWorkers)
        reject(new Error(`${JSON.stringify(text)} was answered ${answer.slice(0, 500)}`));
      else resolve(status);
    };
    socket.on("data", (part) => {
      answer += part.toString("latin1");
      end();
    });
    socket.on("error", end);
    socket.on("close", end);
    socket.setTimeout(SILENT_MS, end);
    // Not ended: workerd takes a half-closed connection for one that is gone.
    socket.write(Buffer.from(text, "latin1"));
  });
}
