/**
 * Whom the rules keep out of the log: learnt from a log when it knows newer rules than this isolate does, and kept. Rules of
 * one version say the same in every shard, so what one log has told holds for all of them; who knows more than a log keeps
 * out what is to be kept out there in a moment.
 */
import type { BarringRule, EventLogApi } from "../../durable-objects/event-log/api.ts";
import { IdSet } from "../../durable-objects/event-log/id-set.ts";
import { ID_BYTES, toWords } from "../../durable-objects/event-log/packed-ids.ts";
import { lineNames } from "../../r2-layout/line-subjects.ts";
import { isPlaceholder, prefixOf, type Subject, type SubjectHasher, unpackPrefixes } from "../../r2-layout/subjects.ts";
import type { RoutedMessage } from "./route.ts";

export class BarredSubjects {
  readonly #hash: SubjectHasher;
  readonly #known = new IdSet();
  readonly #erased = new IdSet();
  readonly #prefixes = new Set<number>();
  #version = 0;

  constructor(hash: SubjectHasher) {
    this.#hash = hash;
  }

  /** Of the newest rule that it knows; 0 without any. */
  get version(): number {
    return this.#version;
  }

  /** Asks the log for what it does not know. @param version of the log's newest rule that keeps somebody out */
  async learn(log: Pick<EventLogApi, "barred">, version: number): Promise<void> {
    if (this.#version >= version) return;
    await this.learnAll(log);
    if (this.#version < version) throw new Error(`the log has told rule ${this.#version}, and knows ${version}`);
  }

  /** Asks for whatever the log knows more. */
  async learnAll(log: Pick<EventLogApi, "barred">): Promise<void> {
    for (;;) {
      const before = this.#version;
      const { until, rules } = await log.barred(before);
      for (const rule of rules) this.#add(rule);
      // Another batch may have learnt more meanwhile; whom it has added stays.
      if (until > this.#version) this.#version = until;
      if (until <= before) return;
    }
  }

  /** Lines of a message (from 0) that are about somebody whom the rules keep out; undefined where none is. */
  linesOf({ header, lines }: RoutedMessage): ReadonlySet<number> | undefined {
    if (this.#known.size === 0) return undefined;
    const { who, quarantined } = header;
    const mayName = who === undefined || unpackPrefixes(who).some((prefix) => this.#prefixes.has(prefix));
    // Whom quarantined lines name their message does not say.
    const suspects = mayName ? lines.keys() : (quarantined ?? []);
    const isBarred = (subject: Subject) => this.#isIn(this.#known, subject);
    const barred = [...suspects].filter((line) => lineNames(lines[line]!, isBarred));
    return barred.length > 0 ? new Set(barred) : undefined;
  }

  /** Whether a line that was accepted long ago is about somebody who was erased: it may not come back. */
  isErased(line: string): boolean {
    if (this.#erased.size === 0) return false;
    // A placeholder stands for somebody whom the event is not about any more.
    return lineNames(line, (subject) => !isPlaceholder(subject.id) && this.#isIn(this.#erased, subject));
  }

  #isIn(set: IdSet, subject: Subject): boolean {
    const hash = this.#hash(subject);
    return this.#prefixes.has(prefixOf(hash)) && set.has(toWords(Buffer.from(hash, "hex")), 0);
  }

  #add({ kind, subjects }: BarringRule): void {
    const bytes = Buffer.from(subjects, "base64");
    const words = toWords(bytes);
    for (let i = 0; i < bytes.byteLength / ID_BYTES; i++) {
      this.#known.add(words, i);
      if (kind === "erase") this.#erased.add(words, i);
      this.#prefixes.add(bytes.readUInt32BE(i * ID_BYTES));
    }
  }
}
