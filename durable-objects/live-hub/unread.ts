/**
 * How much of what a socket was sent its client has not said to have read. The platform does not tell how much of it still waits in
 * the object's memory, so clients say how far they are. Pure.
 */
import { LIVE } from "../../r2-layout/limits.ts";

export class Unread {
  /** Characters in all, and those read. */
  #sent = 0;
  #read = 0;
  #lastSeq: number;
  #ackedSeq = -1;
  /** [seq, sent in all by then], one each time that so much more was sent: few, for nothing is sent once too much is unread. */
  #marks: [seq: number, sent: number][] = [];

  constructor(seq: number) {
    this.#lastSeq = seq;
  }

  get characters(): number {
    return this.#sent - this.#read;
  }

  /** A client that has never said anything may be sent more: it may be one that does not know how. */
  get isTooMuch(): boolean {
    return this.characters > (this.#ackedSeq < 0 ? LIVE.unreadSilent : LIVE.unread);
  }

  sent(characters: number, seq: number): void {
    this.#sent += characters;
    this.#lastSeq = seq;
    if (this.#sent - (this.#marks.at(-1)?.[1] ?? this.#read) < LIVE.unread / MARKS) return;
    this.#marks.push([seq, this.#sent]);
  }

  /** @returns false where that was known. */
  read(seq: number): boolean {
    const upTo = Math.min(seq, this.#lastSeq);
    if (upTo <= this.#ackedSeq) return false;
    this.#ackedSeq = upTo;
    while (this.#marks.length > 0 && this.#marks[0]![0] <= upTo) this.#read = this.#marks.shift()![1];
    if (upTo === this.#lastSeq) this.#read = this.#sent;
    return true;
  }
}

/** Marks within what may be unread. */
const MARKS = 16;
