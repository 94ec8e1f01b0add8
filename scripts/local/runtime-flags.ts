/**
 * To be imported by whoever starts the local runtime: on a machine of two cores V8 has one thread for work in the
 * background, and then it can wait for itself. That thread compiles, finds no room and waits for a collection by the main
 * thread; the main thread runs its tasks until none is left, and the collector's sweeping, one of them, comes back for as long
 * as it waits for that thread: it spins for ever and answers nobody. (Stacks: `CollectionBarrier::AwaitCollectionBackground`
 * there, `Sweeper::IncrementalSweepTask` in `PumpMessageLoop` here.) Swept by the main thread alone, it ends.
 */
const FLAG = "--single-threaded-gc";

const { MINIFLARE_WORKERD_V8_FLAGS: given = "" } = process.env;
if (!given.includes(FLAG)) process.env.MINIFLARE_WORKERD_V8_FLAGS = `${given} ${FLAG}`.trim();
