/** Instantiates DuckDB out of sight of Node's globals, and without a voice: it binds `console.log` to print with. */
import type { GlueBindings } from "./duckdb-glue.ts";
import { hideNode, showNode } from "./hide-node.ts";

/** Everything that looks at globals runs before the first await inside, so nobody else sees them changed. */
export function instantiateQuietly(bindings: GlueBindings): Promise<unknown> {
  const { log } = console;
  hideNode();
  console.log = () => {};
  try {
    return bindings.instantiate();
  } finally {
    console.log = log;
    showNode();
  }
}
