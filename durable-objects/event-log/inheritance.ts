/**
 * A shard that a split has made owns what its parent owned of its half. The ids stay where they are; the child asks for
 * them, until all of them have left the window.
 *
 * Nothing may be owned twice, so the parent must have taken its last event of that half before the child takes its first:
 *
 *     writer, by the old number         parent                     child                writer, by the new number
 *                                       epoch 0                    (knows nothing)
 *     commit, epoch 0, id 7       --->  owns 7
 *                                                                  joins:        <---   commit, epoch 1, id 7
 *                                       epoch 1, and says so <---  "I am here"
 *     commit, epoch 0, id 8       --->  moved: nothing changes
 *                                       "7 is owned"         <---  7?
 *                                                                  owned: [7]    --->   drops 7
 *     groups anew, by the new number                         --->  id 8, joined: asks for 8, owns it
 *
 * From its new epoch on the parent takes none of the child's ids, so "not owned" is its last word on an id and may be
 * remembered. A crash at any place leaves the parent told or not told; the child tells it again before it takes anything.
 *
 * Rules: the child begins with those that its parent has, at a place below all its rows. One that is raised while the
 * child joins is either in the parent before it answers, and comes with the answer, or is passed on by it afterwards.
 *
 * A child can be a parent before its own time of asking is over: it then answers with what its own parent says, too.
 */
import type { RuleAt } from "../../r2-layout/rule.ts";
import type { ShardHistory } from "../../r2-layout/shards.ts";
import type { EventLogLineageApi } from "./api.ts";
import { IdSet } from "./id-set.ts";
import { ID_BYTES, toWords } from "./packed-ids.ts";
import type { ShardLog } from "./shard-log.ts";

/** Ids known not to be the parent's: 1.5 MB. The stage that commits has just filtered, so a few batches are enough. */
const CLEARED_IDS = 65_536;

export interface InheritanceDeps {
  readonly log: ShardLog;
  readonly logOf: (shard: number) => EventLogLineageApi;
  readonly transaction: (change: () => void) => void;
}

export class Inheritance {
  readonly #deps: InheritanceDeps;
  #cleared = new IdSet();

  constructor(deps: InheritanceDeps) {
    this.#deps = deps;
  }

  /** Whether `join` has something to do: most commits are spared the wait. */
  isNew(shards: ShardHistory | undefined): boolean {
    const { lineage } = this.#deps.log;
    return (shards !== undefined && lineage.isNew(shards)) || !lineage.settled;
  }

  /** Takes over newer numbers of shards, and sees to it that the parent has them before it returns. Safe to repeat. */
  async join(shards: ShardHistory | undefined): Promise<void> {
    const { log, logOf, transaction } = this.#deps;
    if (shards && log.lineage.isNew(shards)) transaction(() => log.lineage.adopt(shards));
    const { parent, settled } = log.lineage;
    if (parent === null || settled) return;
    const { rules } = await logOf(parent).partWith(log.lineage.shards!);
    transaction(() => {
      if (log.lineage.settled) return; // Another call was faster.
      log.places.inheritRules(rules, log.shard);
      log.lineage.settle(Date.now());
    });
  }

  /** One byte for each id, 1 where the parent or its parents own it; null where nobody is to be asked. */
  async owned(packed: Uint8Array): Promise<Uint8Array | null> {
    const { lineage } = this.#deps.log;
    if (packed.byteLength === 0 || !lineage.inherits(Date.now())) return null;
    const words = toWords(packed);
    const owned = new Uint8Array(packed.byteLength / ID_BYTES);
    const unknown = Array.from(owned.keys()).filter((i) => !this.#cleared.has(words, i));
    if (unknown.length === 0) return owned;
    const answer = await this.#deps.logOf(lineage.parent!).ownedBefore(pick(packed, unknown));
    if (this.#cleared.size + unknown.length > CLEARED_IDS) this.#cleared = new IdSet();
    unknown.forEach((i, at) => {
      owned[i] = answer[at]!;
      if (owned[i] === 0) this.#cleared.add(words, i);
    });
    return owned;
  }

  /** What a child learns when it joins. */
  answer(): { rules: RuleAt[] } {
    return { rules: this.#deps.log.places.rules() };
  }
}

function pick(packed: Uint8Array, places: readonly number[]): Uint8Array {
  const picked = new Uint8Array(places.length * ID_BYTES);
  places.forEach((place, at) => {
    picked.set(packed.subarray(place * ID_BYTES, (place + 1) * ID_BYTES), at * ID_BYTES);
  });
  return picked;
}
