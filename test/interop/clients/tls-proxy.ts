/** TLS in front of a running system, as a deployed one has: drivers send a password over nothing else. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PASSPHRASE = "not-a-secret";

/** @returns the proxy's host with its port. */
export async function tlsProxy(target: string): Promise<{ host: string; close: () => void }> {
  const server = createServer({ pfx: certificate(), passphrase: PASSPHRASE }, (incoming, outgoing) => {
    const { method = "GET", headers, url = "/" } = incoming;
    const forwarded = { ...headers, "x-forwarded-proto": "https" };
    const onwards = request(`${target}${url}`, { method, headers: forwarded }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onwards.on("error", () => outgoing.destroy());
    incoming.pipe(onwards);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { host: `localhost:${(server.address() as AddressInfo).port}`, close: () => server.close() };
}

/** Signed by itself, by the JDK's own tool. */
function certificate(): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "interop-tls-"));
  const path = join(folder, "key.p12");
  const to = ["-keystore", path, "-storetype", "PKCS12", "-storepass", PASSPHRASE];
  const what = ["-alias", "proxy", "-keyalg", "RSA", "-keysize", "2048", "-dname", "CN=localhost", "-validity", "2"];
  execFileSync("keytool", ["-genkeypair", ...what, ...to], { stdio: "ignore" });
  const bytes = readFileSync(path);
  rmSync(folder, { recursive: true });
  return bytes;
}
