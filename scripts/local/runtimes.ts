/** The two runtimes of a local run (workers.ts says why two), each a Miniflare with a workerd of its own. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { MiniflareOptions, V4MiniflareOptions } from "miniflare";
import { loadMiniflare } from "./miniflare.ts";
import { type LocalOptions, localOptions } from "./workers.ts";

export interface Runtimes {
  /** Once both take requests. @returns where the query Worker's runtime answers that it lives. */
  ready(): Promise<string>;
  stop(): Promise<void>;
}

export interface RuntimesOptions extends Omit<LocalOptions, "registryPath"> {
  readonly stateDir: string;
  /** Called when all is built, just before the runtimes start. */
  readonly onStart: () => void;
  /** Called after the main runtime crashed and was replaced. */
  readonly onRestart: () => Promise<void>;
}

/** @param built what has to be there when they start. @returns when they have been started. */
export async function startRuntimes(options: RuntimesOptions, built: readonly Promise<void>[]): Promise<Runtimes> {
  const { stateDir } = options;
  const registryPath = join(stateDir, "registry");
  const [{ convertV4MiniflareOptions, Log, LogLevel, Miniflare }, { main, query }] = await Promise.all([
    loadMiniflare(),
    localOptions({ ...options, registryPath }),
    ...built,
  ]);
  // A killed run leaves the addresses of its runtimes there.
  rmSync(registryPath, { recursive: true, force: true });
  options.onStart();
  const start = (workers: V4MiniflareOptions, state: string, more: Partial<MiniflareOptions> = {}) =>
    new Miniflare({
      ...convertV4MiniflareOptions(workers),
      // Here and not among the options above, where the conversion would drop it without a word. Each has its own: a
      // database is one process's.
      resourcePersistencePath: join(stateDir, state),
      log: new Log(LogLevel.WARN),
      ...more,
    });
  const both = [
    start(main, "state", { unsafeHandleRuntimeRestart: options.onRestart }),
    start(query, "query"),
  ] as const;
  return {
    ready: async () => (await Promise.all(both.map((miniflare) => miniflare.ready)))[1]!.href,
    stop: async () => void (await Promise.allSettled(both.map((miniflare) => miniflare.dispose()))),
  };
}
