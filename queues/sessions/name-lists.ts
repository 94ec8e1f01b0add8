/**
 * The timelines that a build has touched, by the names that they have in generation 0, in objects of R2: names of objects
 * cannot be listed, and whose they are need not be known to erase them. A step's lists are written before its timelines,
 * under keys that follow from the step, so that what is there is always named, and a step that comes again overwrites.
 */

import { jobKey, shardName } from "../../r2-layout/keys.ts";
import type { ReplayJob, ReplayStep } from "../replay/target.ts";

/** The slice of R2 that lists need. */
export interface ListBucket {
  put(key: string, value: string): Promise<unknown>;
  get(key: string): Promise<{ text(): Promise<string> } | null>;
  list(options: {
    prefix: string;
    limit?: number;
    startAfter?: string;
  }): Promise<{ objects: { key: string }[]; truncated: boolean }>;
  delete(key: string): Promise<void>;
}

/** Names of one object: an invocation can call them all. */
export const NAMES_PER_LIST = 1_000;
const LISTS_PER_READ = 100;

export class NameLists {
  readonly #bucket: ListBucket;
  readonly #prefix: string;

  /** @param what of the job's objects these are */
  constructor(bucket: ListBucket, job: Pick<ReplayJob, "id">, what = "names") {
    this.#bucket = bucket;
    this.#prefix = jobKey(job.id, `sessions/${what}/`);
  }

  async write(step: Pick<ReplayStep, "shard" | "to">, names: readonly string[]): Promise<void> {
    for (let at = 0, part = 0; at < names.length; at += NAMES_PER_LIST, part++) {
      await this.put(step, part, names.slice(at, at + NAMES_PER_LIST));
    }
  }

  async put(step: Pick<ReplayStep, "shard" | "to">, part: number, lines: readonly string[]): Promise<void> {
    const key = `${this.#prefix}${shardName(step.shard)}/${String(step.to).padStart(15, "0")}/${part}`;
    await this.#bucket.put(key, lines.join("\n"));
  }

  /** Keys of lists after this one, in their order. */
  async keys(after: string | null, limit = LISTS_PER_READ): Promise<string[]> {
    const page = { prefix: this.#prefix, limit, ...(after !== null && { startAfter: after }) };
    return (await this.#bucket.list(page)).objects.map(({ key }) => key);
  }

  /** Empty where the list is gone. */
  async read(key: string): Promise<string[]> {
    const text = (await (await this.#bucket.get(key))?.text()) ?? "";
    return text === "" ? [] : text.split("\n");
  }

  delete(key: string): Promise<void> {
    return this.#bucket.delete(key);
  }
}
