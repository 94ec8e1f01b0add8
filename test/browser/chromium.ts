/** Debian's Chromium, driven by playwright-core: no browser is downloaded. */
import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const PATH = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** @throws Error that says what to install. */
export function launchChromium(): Promise<Browser> {
  if (!existsSync(PATH)) {
    throw new Error(`no browser at ${PATH}: "apt-get install chromium", or name one in CHROMIUM`);
  }
  return chromium.launch({
    executablePath: PATH,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
