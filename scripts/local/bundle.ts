/**
 * Bundles a Worker as wrangler does (ES module, workerd's export conditions, wasm as CompiledWasm modules beside it),
 * in memory and in a fraction of the time. `node:` and `cloudflare:` modules are the runtime's own.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { build, type Plugin } from "esbuild";
import { ROOT } from "./wrangler-config.ts";

export type WorkerModule =
  | { type: "ESModule"; path: string; contents: string }
  | { type: "CompiledWasm" | "Data"; path: string; contents: Uint8Array }
  | { type: "Text"; path: string; contents: string };

export interface BundleRequest {
  /** The source of the entry module; its relative imports start at `folder`. */
  readonly entry: string;
  readonly folder: string;
  readonly name: string;
  readonly alias?: Readonly<Record<string, string>>;
  readonly define?: Readonly<Record<string, string>>;
}

/** What a bundle has to be told for its waits to be scaled (r2-layout/wait.ts). */
export const waitFactorDefine = (factor = 1): Record<string, string> => ({ EVENTPILE_WAIT_FACTOR: String(factor) });

/** wrangler's default module rules. */
const RULES = [
  { pattern: /\.wasm(\?module)?$/, type: "CompiledWasm" },
  { pattern: /\.bin$/, type: "Data" },
  { pattern: /\.(txt|html|sql)$/, type: "Text" },
] as const;

/** @returns the modules of the Worker, its main module first. @throws with esbuild's own messages where it does not build. */
export async function bundleWorker(request: BundleRequest): Promise<WorkerModule[]> {
  const attached = new Map<string, WorkerModule>();
  const result = await build({
    stdin: { contents: request.entry, resolveDir: request.folder, sourcefile: `${request.name}.ts`, loader: "ts" },
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    platform: "browser",
    conditions: ["workerd", "worker", "browser"],
    keepNames: true,
    sourcemap: "inline",
    sourcesContent: false,
    absWorkingDir: ROOT,
    outfile: join(ROOT, "dist", "local", `${request.name}.js`),
    external: ["cloudflare:*"],
    define: {
      "process.env.NODE_ENV": '"development"',
      "navigator.userAgent": '"Cloudflare-Workers"',
      ...request.define,
    },
    alias: { ...request.alias },
    plugins: [builtins, moduleRules(attached)],
    logLevel: "silent",
  });
  const main: WorkerModule = { type: "ESModule", path: `${request.name}.js`, contents: result.outputFiles[0]!.text };
  return [main, ...attached.values()];
}

/** Node's modules come from the runtime (nodejs_compat), with or without their prefix. */
const builtins: Plugin = {
  name: "node-builtins",
  setup(build) {
    build.onResolve({ filter: /^(node:)?[a-z_/]+$/ }, ({ path, kind }) => {
      if (kind === "entry-point" || !isBuiltin(path)) return undefined;
      return { path: path.startsWith("node:") ? path : `node:${path}`, external: true };
    });
  },
};

const moduleRules = (attached: Map<string, WorkerModule>): Plugin => ({
  name: "module-rules",
  setup(build) {
    for (const rule of RULES) {
      build.onResolve({ filter: rule.pattern }, async (args) => {
        const given = args.path.replace(/\?module$/, "");
        const path = given.startsWith(".")
          ? resolve(args.resolveDir, given)
          : await resolvePackageFile(build, given, args.resolveDir);
        const bytes = await readFile(path);
        const digest = createHash("sha1").update(bytes).digest("hex").slice(0, 12);
        const name = `./${digest}-${basename(path)}`;
        attached.set(
          name,
          rule.type === "Text"
            ? { type: rule.type, path: name.slice(2), contents: bytes.toString("utf8") }
            : { type: rule.type, path: name.slice(2), contents: new Uint8Array(bytes) },
        );
        return { path: name, external: true };
      });
    }
  },
});

type PluginBuild = Parameters<Plugin["setup"]>[0];

/** A file inside a package, by the package's exports where they show it, else by its folder. */
async function resolvePackageFile(build: PluginBuild, path: string, from: string): Promise<string> {
  const [scopeOrName = "", second = ""] = path.split("/");
  const name = scopeOrName.startsWith("@") ? `${scopeOrName}/${second}` : scopeOrName;
  const manifest = await build.resolve(`${name}/package.json`, { resolveDir: from, kind: "import-statement" });
  const folder = manifest.errors.length === 0 ? dirname(manifest.path) : join(ROOT, "node_modules", name);
  return join(folder, path.slice(name.length + 1));
}
