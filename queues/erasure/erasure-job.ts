/**
 * Erasures and suppressions, from the confirmed subjects to the signed receipt. Each stage can be cut anywhere and begins
 * again where it had not noted its end:
 *
 *     begin    whom: their hashes become the filters of one or more rules
 *     rules    a rule job (replay/rule-job.ts): from its place on no line about them enters a log, and what readers of lake,
 *              timelines and rollups see is right. Then the turn is given back: other jobs with rules may follow
 *     stores   each takes out what is left and looks again, until all have confirmed (purge.ts); not of a suppression
 *     finish   everything of the job that holds a name goes, then the receipt is signed and written, then the rest goes
 *
 * A crash in `finish` after the names are gone needs them no more: hashes are in the rules' objects, findings in the job.
 */
import type { ErasureSpec } from "../../durable-objects/replay-desk/api.ts";
import { jobKey, receiptKeyName, receiptName, ruleKey, shardName } from "../../r2-layout/keys.ts";
import { ERASURE, REPLAY } from "../../r2-layout/limits.ts";
import type { RuleFilter } from "../../r2-layout/rule.ts";
import type { ReceiptSigner } from "../../r2-layout/signed-receipt.ts";
import {
  packSubjects,
  type Subject,
  type SubjectHash,
  type SubjectHasher,
  subjectsOf,
  unpackSubjects,
} from "../../r2-layout/subjects.ts";
import { eachShard } from "../replay/each-shard.ts";
import { type JobBucket, JobStore } from "../replay/job-store.ts";
import { RuleJob } from "../replay/rule-job.ts";
import type { RuleParts } from "../replay/rule-parts.ts";
import { beginRules, type Draft, type RuleProgress } from "../replay/rule-progress.ts";
import { type Saved, savedJob, savedMember } from "../replay/saved.ts";
import { type Advance, advanceStages, type Slice, type StageEnd } from "../replay/slice.ts";
import { countSubjects, REPLACED_PREFIX, SUBJECTS_OBJECT } from "./erasure-objects.ts";
import { beginErasure, type ErasureProgress } from "./erasure-progress.ts";
import {
  ERASURE_STORES,
  type ErasureRun,
  type ErasureStore,
  type ErasureStoreName,
  type Replacement,
} from "./erasure-store.ts";
import { purge } from "./purge.ts";
import { type ErasureReceipt, erasureReceipt } from "./receipt.ts";

export interface ErasureParts {
  readonly stores: readonly ErasureStore[];
  readonly hash: SubjectHasher;
  readonly bucket: JobBucket & { delete(keys: string | string[]): Promise<unknown> };
  /** @throws Error where no key is configured: the request stays open, and says so. */
  signer(): Promise<ReceiptSigner>;
}

export async function advanceErasure(slice: Slice, parts: RuleParts, erasure: ErasureParts): Promise<Advance> {
  const progress = savedJob(slice, (slice.progress as ErasureProgress | null) ?? beginErasure());
  if (slice.job.state === "cancelling") {
    await deleteObjects(slice.job.id, erasure.bucket, () => true);
    return { kind: "state", state: "cancelled", outcome: "cancelled" };
  }
  const job = new ErasureJob(slice, parts, erasure, progress);
  return advanceStages(slice, () => job.stage());
}

class ErasureJob {
  readonly #slice: Slice;
  readonly #parts: RuleParts;
  readonly #erasure: ErasureParts;
  readonly #progress: Saved<ErasureProgress>;
  readonly #store: JobStore;

  constructor(slice: Slice, parts: RuleParts, erasure: ErasureParts, progress: Saved<ErasureProgress>) {
    this.#slice = slice;
    this.#parts = parts;
    this.#erasure = erasure;
    this.#progress = progress;
    this.#store = new JobStore(parts.bucket, slice.job.id);
  }

  stage(): Promise<StageEnd> {
    switch (this.#progress.now.stage) {
      case "begin":
        return this.#begin();
      case "rules":
        return this.#rules();
      case "stores":
        return this.#stores();
      case "finish":
        return this.#finish();
    }
  }

  get #mode(): ErasureSpec["mode"] {
    return (this.#slice.job.spec as ErasureSpec).mode;
  }

  async #begin(): Promise<StageEnd> {
    const missing = ERASURE_STORES.filter((name) => this.#erasure.stores.every((store) => store.name !== name));
    if (this.#mode === "erase" && missing.length > 0) throw new Error(`there is nobody to erase ${missing.join(", ")}`);
    const subjects = await this.#subjects();
    const hashes = [...new Set(subjects.map(this.#erasure.hash))].sort();
    const drafts: Draft[] = [];
    for (let at = 0; at < hashes.length; at += ERASURE.subjectsPerRule) {
      const draft = { key: `erase${drafts.length}`, object: `drafts/erase${drafts.length}.json.gz` };
      const filter: RuleFilter = { subjects: packSubjects(hashes.slice(at, at + ERASURE.subjectsPerRule)) };
      await this.#store.put(draft.object, filter);
      drafts.push(draft);
    }
    await this.#progress.save({ stage: "rules", rules: beginRules(drafts), subjects: countSubjects(subjects) });
    return "next";
  }

  async #rules(): Promise<StageEnd> {
    const rules = savedMember<"rules", RuleProgress>(this.#progress, "rules");
    const end = await new RuleJob(this.#slice, await this.#withPeople(), rules).advance();
    if (end.kind !== "state" || end.state !== "done") return end;
    this.#progress.note({ stage: this.#mode === "erase" ? "stores" : "finish", raisedAt: this.#slice.now() });
    await this.#slice.save({ progress: this.#progress.now, yields: true });
    return "next";
  }

  /** The lake's filters know names, and not hashes. */
  async #withPeople(): Promise<RuleParts> {
    const parts = this.#parts;
    const subjects = await this.#subjects();
    return {
      ...parts,
      correctLake: (correction, onPage, untilMs) => {
        const { versions } = this.#progress.now.rules!;
        return parts.correctLake({ ...correction, people: { versions, subjects } }, onPage, untilMs);
      },
    };
  }

  async #stores(): Promise<StageEnd> {
    const { stores } = this.#erasure;
    const end = await purge(await this.#run(), { stores, job: this.#store, progress: this.#progress });
    if (end !== "done") return { kind: "more", inMs: end.inMs };
    await this.#progress.save({ stage: "finish" });
    return "next";
  }

  /** Names first, then the receipt, then what it was made of. One that is written stands: what it was made of may be gone. */
  async #finish(): Promise<StageEnd> {
    const { id } = this.#slice.job;
    const { bucket } = this.#erasure;
    const signer = await this.#erasure.signer();
    await deleteObjects(id, bucket, (name) => !name.startsWith(REPLACED_PREFIX));
    if ((await bucket.get(receiptName(id))) === null) {
      await bucket.put(receiptKeyName(signer.key.id), JSON.stringify(signer.key));
      await bucket.put(receiptName(id), JSON.stringify(await signer.sign(await this.#receipt()), null, 1));
    }
    await deleteObjects(id, bucket, () => true);
    const removed = Object.values(this.#progress.now.stores).reduce((sum, store) => sum + store.removed, 0);
    const outcome = this.#mode === "erase" ? `confirmed by every store, ${removed} removed` : "kept out from now on";
    return { kind: "state", state: "done", outcome };
  }

  async #receipt(): Promise<ErasureReceipt> {
    return erasureReceipt({
      job: this.#slice.job,
      progress: this.#progress.now,
      hashes: await this.#hashesInForce(),
      replaced: await this.#replaced(),
      stores: this.#mode === "erase" ? ERASURE_STORES : [],
      nowMs: this.#slice.now(),
    });
  }

  /** @throws Error where they are not there: they are written before the request is confirmed. */
  #subjects(): Promise<readonly Subject[]> {
    return this.#store.get<readonly Subject[]>(SUBJECTS_OBJECT);
  }

  async #run(): Promise<ErasureRun> {
    const subjects = await this.#subjects();
    const { hash } = this.#erasure;
    const { rules, raisedAt } = this.#progress.now;
    const hashes = new Set(subjects.map(hash));
    const version = rules!.versions.at(-1)!;
    const byShard = await eachShard(rules!.places.length, async (shard) => {
      const known = await this.#parts.logs.getByName(shardName(shard)).rules();
      return [shard, known.rules.filter((rule) => rule.version <= version)] as const;
    });
    return {
      id: this.#slice.job.id,
      version,
      versions: rules!.versions,
      subjects,
      hashes,
      hash,
      matches: (row) => subjectsOf(row).some((subject) => hashes.has(hash(subject))),
      raisedAt: raisedAt!,
      rules: new Map(byShard),
      places: rules!.places,
      calls: this.#slice.calls,
      untilMs: this.#slice.now() + REPLAY.sliceMs,
      now: this.#slice.now,
    };
  }

  async #hashesInForce(): Promise<Set<SubjectHash>> {
    const hashes = new Set<SubjectHash>();
    for (const version of this.#progress.now.rules!.versions) {
      for (const hash of await ruleSubjects(this.#erasure.bucket, version)) hashes.add(hash);
    }
    return hashes;
  }

  async #replaced(): Promise<Map<ErasureStoreName, Replacement[]>> {
    const replaced = new Map<ErasureStoreName, Replacement[]>();
    for (const name of await this.#store.names(REPLACED_PREFIX, null)) {
      const store = name.slice(REPLACED_PREFIX.length).split("/")[0] as ErasureStoreName;
      const known = replaced.get(store) ?? [];
      replaced.set(store, known);
      // The receipt names so many; further ones are counted, and need not be read.
      if (known.length < ERASURE.replacementsListed)
        known.push(...(await this.#store.get<readonly Replacement[]>(name)));
    }
    return replaced;
  }
}

/** Whom a rule is about, from its object in R2. @throws Error where it is not there */
export async function ruleSubjects(bucket: Pick<JobBucket, "get">, version: number): Promise<ReadonlySet<SubjectHash>> {
  const object = await bucket.get(ruleKey(version));
  if (!object) throw new Error(`${ruleKey(version)} is missing`);
  const { filter } = JSON.parse(new TextDecoder().decode(await object.arrayBuffer())) as {
    filter: RuleFilter;
  };
  return filter.subjects === undefined ? new Set() : unpackSubjects(filter.subjects);
}

async function deleteObjects(
  id: string,
  bucket: ErasureParts["bucket"],
  isGoing: (name: string) => boolean,
): Promise<void> {
  const names = (await new JobStore(bucket, id).names("", null)).filter(isGoing);
  for (let at = 0; at < names.length; at += 1_000) {
    await bucket.delete(names.slice(at, at + 1_000).map((name) => jobKey(id, name)));
  }
}
