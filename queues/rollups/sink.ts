/**
 * The rollups sink: a step of the log -> what each minute gained -> one call to the shard's MinuteRollup -> the cursor.
 *
 * The object keeps last_seq in the transaction of its sums and is the judge; the cursor only says where to read on:
 *
 *     crash before apply           the step is read again and applied
 *     crash after apply            the step is read again, from the old cursor: the object has all of it (done), or, where this
 *                                  step is cut elsewhere than that one was, some of it: the rest is summed from its rows alone
 *     two drains with one shard    the object takes each segment from whoever comes first; the cursor's token settles the rest
 *     crash after apply, and then  before the segment is made a hole the object is asked, which from then on takes nothing of older
 *     the segment goes bad         leases: what it has is no hole, whatever has become of the segment
 *     rule raised meanwhile        the object refuses the rows: they are read again, through the rule
 *     object wiped                 it is behind the cursor: every step fails, loudly, and none is passed over, because time and a rebuild cure it
 *                                  (rebuild.ts); what comes meanwhile waits in the log
 *
 * The object tells the LiveHub itself (durable-objects/minute-rollup/live-publisher.ts). It also says whether there are custom rollups for
 * the shard; their part of the step comes before the cursor moves (tiles.ts).
 */
import type { MinuteRollupApi } from "../../durable-objects/minute-rollup/api.ts";
import { minuteDeltas } from "../../durable-objects/minute-rollup/minute-delta.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { SinkCursorApi } from "../../durable-objects/sink-cursor/api.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { type Sink, type SinkStep, sinkWithCursor } from "../sink.ts";
import { applyTiles, type TilesSinkDeps } from "./tiles.ts";

export interface RollupsSinkDeps {
  readonly cursors: ObjectNamespace<SinkCursorApi>;
  readonly rollups: ObjectNamespace<Pick<MinuteRollupApi, "apply" | "fence">>;
  /** Custom rollups. Absent: there are none, whatever the objects say. */
  readonly tiles?: TilesSinkDeps;
}

export function createRollupsSink({ cursors, rollups, tiles }: RollupsSinkDeps): Sink {
  const rollup = (shard: number) => rollups.getByName(`core:${shardName(shard)}`);
  const sink = sinkWithCursor(
    "rollups",
    cursors,
    async (step) => {
      const list = await applyStep(rollup(step.shard), step);
      if (list && tiles) await applyTiles(tiles, list, step);
    },
    async (shard, cursor, completeUntil) => {
      const tick = { shard, from: cursor + 1, to: cursor, completeUntil };
      const answer = await rollup(shard).apply({ ...tick, minutes: [] });
      if (answer.tiles && tiles) await applyTiles(tiles, answer.tiles, { ...tick, from: cursor, events: [] });
    },
  );
  return { ...sink, has: async (shard, seq, token) => (await rollup(shard).fence(token)).lastSeq >= seq };
}

/**
 * @returns the list of custom rollups that the step goes to as well.
 * @throws Error if the object is behind the cursor: it has lost what it had, and must be rebuilt from the log.
 * RangeError "rules: ..." if it knows a newer rule than the rows passed through. Error if a later lease has fenced this one off.
 */
export async function applyStep(
  rollup: Pick<MinuteRollupApi, "apply">,
  step: Pick<SinkStep, "shard" | "from" | "to" | "completeUntil" | "events" | "rules" | "leftOut"> & {
    readonly token?: number;
  },
): Promise<string | undefined> {
  const { shard, to, completeUntil, token, leftOut } = step;
  for (let after = step.from; after < to; ) {
    const rest = after === step.from ? step.events : step.events.filter(({ log_seq }) => log_seq > after);
    const part = { shard, from: after + 1, to, completeUntil, minutes: minuteDeltas(rest), rules: step.rules ?? 0 };
    const answer = await rollup.apply({ ...part, ...(token !== undefined && { token }), ...(leftOut && { leftOut }) });
    const { applied, lastSeq, rules, fenced } = answer;
    if (applied || lastSeq >= to) return answer.tiles;
    if (fenced) throw new Error(`rollups of shard ${shard}: a later lease than ${token} has the shard`);
    if (rules !== undefined) throw new RangeError(`rules: version ${rules} is in force, the step has ${part.rules}`);
    if (lastSeq <= after)
      throw new Error(`rollups of shard ${shard} are at seq ${lastSeq}, behind the cursor ${after}`);
    after = lastSeq;
  }
  return undefined;
}
