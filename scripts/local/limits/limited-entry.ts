/** The source of a Worker's local entry module: its own exports, wrapped to obey the platform's limits. */
import { join } from "node:path";

const LIMITS = join(import.meta.dirname, "entry.ts");

export interface LimitedEntry {
  /** Path of the Worker's own entry module. */
  readonly main: string;
  /** Durable Object classes that it exports. */
  readonly classes: readonly string[];
  /** The edge also answers the local control, under /local/. */
  readonly isEdge: boolean;
}

export function limitedEntry({ main, classes, isEdge }: LimitedEntry): string {
  return [
    `import * as worker from ${JSON.stringify(main)};`,
    `import { limitEdge, limitHandlers, limitObject } from ${JSON.stringify(LIMITS)};`,
    `export default ${isEdge ? "limitEdge" : "limitHandlers"}(worker.default);`,
    ...classes.map((name) => `export const ${name} = limitObject(worker.${name}, ${JSON.stringify(name)});`),
  ].join("\n");
}
