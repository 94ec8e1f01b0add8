/** `npm run deploy:dry`: bundles every Worker as `wrangler deploy` would, without an account, and prints the sizes. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { MiB } from "../r2-layout/limits.ts";
import { MARKER } from "./local/faults/injector.ts";

const WORKERS = {
  edge: "wrangler.toml",
  pipeline: "workers/pipeline/wrangler.toml",
  objects: "workers/objects/wrangler.toml",
  query: "workers/query/wrangler.toml",
} as const;
/** Cloudflare's bounds on one Worker: the script before compression, and what is uploaded. */
const SCRIPT_MAX_BYTES = 64 * MiB;
const UPLOAD_MAX_BYTES = 10 * MiB;

const root = new URL("..", import.meta.url).pathname;
let failed = false;
for (const [name, config] of Object.entries(WORKERS)) {
  const out = mkdtempSync(join(tmpdir(), `eventpile-${name}-`));
  try {
    const run = spawnSync(
      join(root, "node_modules/.bin/wrangler"),
      ["deploy", "--dry-run", "--config", join(root, config), "--outdir", out],
      { cwd: root, encoding: "utf8", env: { ...process.env, WRANGLER_SEND_METRICS: "false", CI: "true" } },
    );
    if (run.status !== 0) {
      console.error(`${name}: wrangler refused\n${run.stdout}${run.stderr}`);
      failed = true;
      continue;
    }
    const { plain, packed, hasFaults } = bundleBytes(out);
    const fits = plain <= SCRIPT_MAX_BYTES && packed <= UPLOAD_MAX_BYTES;
    if (hasFaults) console.error(`${name}: the bundle contains the fault injector of local runs`);
    failed ||= !fits || hasFaults;
    console.log(`${name.padEnd(9)} ${kib(plain)} plain ${kib(packed)} gzip${fits ? "" : "  TOO LARGE"}`);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}
process.exit(failed ? 1 : 0);

/** What would be uploaded: everything in the folder but source maps and wrangler's note. */
function bundleBytes(folder: string): { plain: number; packed: number; hasFaults: boolean } {
  let plain = 0;
  let packed = 0;
  let hasFaults = false;
  for (const entry of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const path = join(folder, entry);
    if (!statSync(path).isFile() || /\.map$|README\.md$/.test(entry)) continue;
    const bytes = readFileSync(path);
    plain += bytes.length;
    packed += gzipSync(bytes).length;
    hasFaults ||= bytes.includes(MARKER);
  }
  return { plain, packed, hasFaults };
}

function kib(bytes: number): string {
  return `${(bytes / 1_024).toFixed(1).padStart(9)} KiB`;
}
