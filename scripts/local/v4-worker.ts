/** A Worker as Miniflare 4 describes it (`convertV4MiniflareOptions` reads it), its modules in memory. */
import { join } from "node:path";
import type { V4ModuleDefinition, V4WorkerOptionsShape } from "miniflare";
import type { WorkerModule } from "./bundle.ts";

type V4Modules = { modules: V4ModuleDefinition[]; modulesRoot: string };
export type V4Worker = V4Modules & V4WorkerOptionsShape;

/** Paths are names only. */
export const v4Modules = (modules: readonly WorkerModule[]): V4Modules => ({
  modules: modules.map((module) => ({ ...module, path: join("/", module.path) })),
  modulesRoot: "/",
});
