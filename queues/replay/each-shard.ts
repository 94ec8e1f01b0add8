import { REPLAY } from "../../r2-layout/limits.ts";

/** Asks for every shard from 0, a few at once. @returns the answers by shard */
export async function eachShard<T>(shards: number, ask: (shard: number) => Promise<T>): Promise<T[]> {
  const answers: T[] = [];
  for (let first = 0; first < shards; first += REPLAY.shardsAtOnce) {
    const some = Array.from({ length: Math.min(REPLAY.shardsAtOnce, shards - first) }, (_, i) => ask(first + i));
    answers.push(...(await Promise.all(some)));
  }
  return answers;
}
