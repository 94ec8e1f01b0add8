/**
 * Where objects live. With JURISDICTION `eu` every object is made and asked for within the EU: a name means another object
 * there than it does without, so the setting is chosen before the first event, and alike in every Worker. Entry files
 * and constructors of objects take their bindings through `inJurisdiction`, and nothing else asks a binding for an object
 * that it did not get from there (test/jurisdiction.test.ts). The bucket and the queues have theirs from when they are created.
 */

const JURISDICTIONS = ["eu"] as const;
export type Jurisdiction = (typeof JURISDICTIONS)[number];

/** Every binding to objects, of every Worker. By name, since a service binding says yes to any method that it is asked for. */
export const OBJECT_BINDINGS = [
  "CONTRACT_HEALTH",
  "CONTRACT_REGISTRY",
  "DASHBOARDS",
  "EMAIL_INDEX",
  "EVENT_LOG",
  "LAKE_CATALOG",
  "LIVE_HUB",
  "MINUTE_ROLLUP",
  "PII_AUDIT",
  "PII_KEY",
  "QUERY_BUDGET",
  "QUERY_ENGINE",
  "REPLAY_DESK",
  "SINK_CURSOR",
  "TILE_REGISTRY",
  "TILE_ROLLUP",
  "TRINO_QUERY",
  "USER_TIMELINE",
] as const;

/** @returns null: anywhere. @throws RangeError where it is something else: a typing error must not move anybody's data. */
export function parseJurisdiction(text: unknown): Jurisdiction | null {
  if (text === undefined || text === "") return null;
  const known = JURISDICTIONS.find((one) => one === text);
  if (known === undefined) throw new RangeError(`JURISDICTION is ${JURISDICTIONS.join(" or ")}, or is not set`);
  return known;
}

/** One view for each env: others keep what they made for an env by its identity. A view's view is itself. */
const views = new WeakMap<object, object>();

/** @returns `env` itself where no jurisdiction is set. @throws RangeError as `parseJurisdiction` does. */
export function inJurisdiction<Env extends object>(env: Env): Env {
  const known = views.get(env);
  if (known !== undefined) return known as Env;
  const jurisdiction = parseJurisdiction(Reflect.get(env, "JURISDICTION"));
  const view = jurisdiction === null ? env : within(env, jurisdiction);
  views.set(env, view);
  views.set(view, view);
  return view;
}

function within<Env extends object>(env: Env, jurisdiction: Jurisdiction): Env {
  const moved = OBJECT_BINDINGS.flatMap((name): [string, PropertyDescriptor][] => {
    const namespace = Reflect.get(env, name) as Pick<DurableObjectNamespace, "jurisdiction"> | undefined;
    return namespace ? [[name, { value: namespace.jurisdiction(jurisdiction), enumerable: true }]] : [];
  });
  return Object.create(env, Object.fromEntries(moved)) as Env;
}
