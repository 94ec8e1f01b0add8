/** The query Worker, and the same without any pruning for who sets a header: every file and row group is read. */
import type { EngineStatement } from "../../../workers/query/engine/statement.ts";
import worker from "../../../workers/query/index.ts";

export * from "../../../workers/query/index.ts";

type Env = Parameters<typeof worker.fetch>[1];
type Namespace = { getByName(name: string): Record<string, (...given: never[]) => unknown> };

const UNPRUNED_HEADER = "x-unpruned";

export default {
  fetch(request, env, ctx) {
    if (request.headers.get(UNPRUNED_HEADER) === null) return worker.fetch(request, env, ctx);
    const catalog = changed(env.LAKE_CATALOG as unknown as Namespace, "plan", (given) => {
      const { from: _, to: __, eventNames: ___, equals: ____, ...all } = given as Record<string, unknown>;
      return all;
    });
    const engine = changed(env.QUERY_ENGINE as unknown as Namespace, "run", (given) => {
      const statement = given as EngineStatement;
      return {
        ...statement,
        tables: statement.tables.map(({ from: _, to: __, eventNames: ___, equals: ____, ...all }) => all),
      };
    });
    return worker.fetch(request, { ...env, LAKE_CATALOG: catalog, QUERY_ENGINE: engine } as unknown as Env, ctx);
  },
} satisfies ExportedHandler<Env>;

/** A namespace of which one method of its objects is called with something else. */
function changed(namespace: Namespace, method: string, change: (given: unknown) => unknown): Namespace {
  return {
    getByName: (name) => {
      const object = namespace.getByName(name);
      return new Proxy(object, {
        get: (_, property: string) =>
          property === method
            ? (given: unknown) => object[method]!(change(given) as never)
            : (...given: never[]) => object[property]!(...given),
      });
    },
  };
}
