/**
 * DuckDB's glue takes the runtime for Node where it sees a global `process`, and then wants `eval` and `require`,
 * which workerd forbids. So `process` is hidden while the glue is evaluated (`duckdb-glue.ts` imports this first)
 * and again while it instantiates, and only then: the rest of the isolate keeps its globals.
 */
const scope = globalThis as { process?: unknown };
const hidden: { process: unknown }[] = [];

export function hideNode(): void {
  hidden.push({ process: scope.process });
  scope.process = undefined;
}

export function showNode(): void {
  const last = hidden.pop();
  if (last) scope.process = last.process;
}

hideNode();
