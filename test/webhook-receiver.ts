/** Somebody else's server, which webhooks call: it keeps what it got, and can tell whether it came from here. */
import { createHmac, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** As docs/contracts.md has it. */
export function isFromEventpile(secret: string, headers: IncomingHttpHeaders, body: string): boolean {
  const [id, time, given] = ["id", "timestamp", "signature"].map((name) => String(headers[`webhook-${name}`]));
  if (Math.abs(Date.now() / 1_000 - Number(time)) > 300) return false;
  const key = Buffer.from(secret.replace("whsec_", ""), "base64");
  const wanted = `v1,${createHmac("sha256", key).update(`${id}.${time}.${body}`).digest("base64")}`;
  return wanted.length === given!.length && timingSafeEqual(Buffer.from(wanted), Buffer.from(given!));
}

export interface Call {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Receiver {
  readonly url: string;
  readonly calls: readonly Call[];
  close(): Promise<unknown>;
}

/** @param answer absent: it takes everything. */
export async function startReceiver(
  answer: (response: ServerResponse, call: number) => void = (response) => void response.writeHead(204).end(),
): Promise<Receiver> {
  const calls: Call[] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    calls.push({ headers: request.headers, body });
    answer(response, calls.length);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    calls,
    close() {
      server.closeAllConnections();
      server.close();
      return once(server, "close");
    },
  };
}
