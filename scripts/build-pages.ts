/**
 * Builds the console's pages and the beacon into dist/pages, which the edge serves as static assets: `live.html` is
 * /live, `support.html` /support, `sql.html` /sql, and so on. Scripts and styles have their hash in their name and are cached
 * for good; the pages and beacon.js have not, and are asked for again.
 */
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import { build, type Metafile } from "esbuild";

const ROOT = join(import.meta.dirname, "..");
export const PAGES_DIR = join(ROOT, "dist/pages");

const PAGES = {
  live: { title: "Live", description: "What is happening right now" },
  support: { title: "Support", description: "What one user or device did" },
  sql: { title: "SQL", description: "Questions to the lake" },
  operations: { title: "Operations", description: "Whether the pipeline is well" },
  quarantine: { title: "Quarantine", description: "What broke its contract, and its way back" },
  erasures: { title: "Erasures", description: "Who has asked to be forgotten" },
} as const;

/** CodeMirror and its parsers: they come with the page, because the editor is what it is for. */
const EDITOR = /node_modules\/(codemirror|@codemirror|@lezer|crelt|style-mod|w3c-keyname)\//;

/** What a browser fetches before a file works, in bytes. */
export interface BuiltFile {
  readonly name: string;
  readonly bytes: number;
  readonly gzipBytes: number;
  /** Of a script with an editor: about how many of these are the editor's packages. */
  readonly editorGzipBytes?: number;
}

/** @returns the initial script of each page, its style, and the beacon. */
export async function buildPages(outdir = PAGES_DIR): Promise<BuiltFile[]> {
  const assets = join(outdir, "assets");
  const common = { absWorkingDir: ROOT, bundle: true, minify: true, metafile: true, write: false } as const;
  const [pages, beacon] = await Promise.all([
    build({
      ...common,
      entryPoints: Object.keys(PAGES).map((name) => ({ in: `workers/console/${name}/index.tsx`, out: name })),
      outdir: assets,
      entryNames: "[name]-[hash]",
      chunkNames: "shared-[hash]",
      format: "esm",
      splitting: true,
      target: "es2022",
      jsx: "automatic",
      jsxImportSource: "preact",
      tsconfig: "workers/tsconfig.pages.json",
      legalComments: "none",
    }),
    // Older browsers than the console's: the beacon runs on other people's pages.
    build({
      ...common,
      entryPoints: ["workers/beacon/index.ts"],
      outfile: join(outdir, "beacon.js"),
      format: "iife",
      target: "es2020",
      tsconfig: "workers/tsconfig.pages.json",
    }),
  ]);

  await mkdir(assets, { recursive: true });
  const outputs = [...pages.outputFiles, ...beacon.outputFiles];
  await Promise.all(outputs.map((file) => writeFile(file.path, file.contents)));
  const editorShare = (names: readonly string[]): number => {
    const outputs = names.map(
      (name) => pages.metafile.outputs[Object.keys(pages.metafile.outputs).find((path) => basename(path) === name)!]!,
    );
    const inputs = outputs.flatMap((output) => Object.entries(output.inputs));
    const bytes = (some: typeof inputs) => some.reduce((sum, [, { bytesInOutput }]) => sum + bytesInOutput, 0);
    return bytes(inputs.filter(([path]) => EDITOR.test(path))) / bytes(inputs);
  };
  const sizeOf = (names: readonly string[]): Omit<BuiltFile, "name"> => {
    const files = names.map((name) => outputs.find((file) => basename(file.path) === name)!.contents);
    const sum = (sizes: number[]) => sizes.reduce((total, size) => total + size, 0);
    return { bytes: sum(files.map((file) => file.length)), gzipBytes: sum(files.map((file) => gzipSync(file).length)) };
  };

  const built: BuiltFile[] = [];
  for (const [name, page] of Object.entries(PAGES)) {
    const { scripts, style } = filesOf(pages.metafile, `workers/console/${name}/index.tsx`);
    await writeFile(join(outdir, `${name}.html`), html(page, scripts, style));
    const script = sizeOf(scripts);
    const editorGzipBytes = Math.round(script.gzipBytes * editorShare(scripts));
    built.push(
      { name: `${name} script`, ...script, ...(editorGzipBytes > 0 && { editorGzipBytes }) },
      { name: `${name} style`, ...sizeOf([style]) },
    );
  }
  await writeFile(join(outdir, "_headers"), HEADERS);
  built.push({ name: "beacon.js", ...sizeOf(["beacon.js"]) });

  // Last, so that a server running over the folder never has a page whose script is missing.
  const current = new Set(outputs.map((file) => basename(file.path)));
  for (const name of await readdir(assets)) if (!current.has(name)) await rm(join(assets, name), { force: true });
  return built;
}

/** A page's script, then the chunks it imports at once (not those it imports later), and its style. */
function filesOf(metafile: Metafile, entryPoint: string): { scripts: string[]; style: string } {
  const entry = Object.keys(metafile.outputs).find((path) => metafile.outputs[path]?.entryPoint === entryPoint);
  if (!entry) throw new Error(`esbuild wrote nothing for ${entryPoint}`);
  const scripts = new Set<string>();
  const visit = (path: string) => {
    if (scripts.has(path)) return;
    scripts.add(path);
    for (const { path: imported, kind } of metafile.outputs[path]?.imports ?? []) {
      if (kind === "import-statement") visit(imported);
    }
  };
  visit(entry);
  return { scripts: [...scripts].map((path) => basename(path)), style: basename(metafile.outputs[entry]!.cssBundle!) };
}

const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0b5c8f"/><path d="M6 24h20M9 18.5h14M12 13h8M14.5 7.5h3" stroke="#fff" stroke-width="3.2" stroke-linecap="round"/></svg>`;

function html(page: { title: string; description: string }, scripts: readonly string[], style: string): string {
  const [entry, ...chunks] = scripts;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="description" content="${page.description}">
<title>${page.title} · eventpile</title>
<link rel="icon" href="data:image/svg+xml,${encodeURIComponent(ICON)}">
<link rel="stylesheet" href="/assets/${style}">
${chunks.map((name) => `<link rel="modulepreload" href="/assets/${name}">\n`).join("")}<script type="module" src="/assets/${entry}"></script>
</head>
<body>
<div id="root"></div>
<noscript>This page needs JavaScript.</noscript>
</body>
</html>
`;
}

const HEADERS = `/assets/*
  Cache-Control: public, max-age=31536000, immutable
/live
  Content-Security-Policy: ${contentPolicy("'self'")}
/support
  Content-Security-Policy: ${contentPolicy("'self'")}
/sql
  Content-Security-Policy: ${contentPolicy("'self'")}
/operations
  Content-Security-Policy: ${contentPolicy("'self'")}
/quarantine
  Content-Security-Policy: ${contentPolicy("'self'")}
/erasures
  Content-Security-Policy: ${contentPolicy("'self'")}
/*
  X-Content-Type-Options: nosniff
  Referrer-Policy: same-origin
`;

/** Styles may be inline, because the chart and the editor write them. */
function contentPolicy(self: string): string {
  return `default-src ${self}; img-src ${self} data:; style-src ${self} 'unsafe-inline'; connect-src ${self} ws: wss:; frame-ancestors 'none'; base-uri 'none'; form-action ${self}`;
}

if (import.meta.main) {
  const started = performance.now();
  const built = await buildPages();
  const kB = (bytes: number) => `${(bytes / 1_000).toFixed(1)} kB`.padStart(9);
  for (const { name, bytes, gzipBytes } of built) {
    console.log(`${name.padEnd(16)}${kB(bytes)}  ${kB(gzipBytes)} gzip`);
  }
  console.log(`pages built in ${Math.round(performance.now() - started)} ms`);
}
