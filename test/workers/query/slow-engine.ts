/** The engine object with a bucket as far away as a benchmark says: the local one answers at once. */
import { QueryEngine as Engine } from "../../../workers/query/query-engine.ts";

/** Of the isolate, like the engine. */
let delayMs = 0;

export class QueryEngine extends Engine {
  constructor(ctx: DurableObjectState, env: { readonly BUCKET: R2Bucket }) {
    const get = async (...given: Parameters<R2Bucket["get"]>) => {
      if (delayMs > 0) await scheduler.wait(delayMs);
      return env.BUCKET.get(...given);
    };
    super(ctx, { ...env, BUCKET: { get } as R2Bucket });
  }

  /** From now on each read waits so long first. */
  async delayReads(ms: number): Promise<void> {
    delayMs = ms;
  }
}
