/**
 * One Parquet build at a time per isolate: 128 MB are shared by every invocation in it, and the encoder's memory keeps
 * the size of the largest moment. A turn is not waited for longer than `LAKE.buildTurnMs`: an invocation that died in its
 * turn must not stop the sink, and two builds at once still fit, if closely. A compaction takes a turn for each row group.
 */
import { LAKE } from "../../r2-layout/limits.ts";

let last: Promise<void> = Promise.resolve();

/** Runs `build` once the builds before it have ended. It should write nothing outside, and read no more than it must. */
export async function inBuildTurn<T>(build: () => Promise<T>): Promise<T> {
  const before = last;
  const { promise, resolve } = Promise.withResolvers<void>();
  last = promise;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const deadline = new Promise<void>((done) => {
    timer = setTimeout(done, LAKE.buildTurnMs);
  });
  try {
    await Promise.race([before, deadline]);
    clearTimeout(timer);
    return await build();
  } finally {
    resolve();
  }
}
