/** A shop's own web server, on another origin than eventpile: what it answers is what a customer's page would be. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface Shop {
  readonly url: string;
  close(): void;
}

/** @param head HTML for the head of every page. @param scripts by path. */
export async function openShop(head: string, scripts: Readonly<Record<string, string>> = {}): Promise<Shop> {
  const server = createServer((request, response) => {
    const path = request.url?.split("?")[0] ?? "/";
    const script = scripts[path];
    if (script !== undefined) return response.setHeader("content-type", "text/javascript").end(script);
    if (path === "/favicon.ico") return response.writeHead(204).end();
    response.setHeader("content-type", "text/html");
    response.end(`<!doctype html><html><head><title>Shop ${path}</title>${head}</head><body>${path}</body></html>`);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
