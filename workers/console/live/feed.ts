/**
 * What this page says to the hub and has heard from it: which topics it follows, how far it has read, and how much it has yet to
 * acknowledge. Pure: no socket, no clock.
 *
 * A connection that comes back names the last number it has seen, and is told what changed since. That holds only where each topic
 * has had its snapshot: a topic that has none yet is asked for anew, with all of them.
 */
import type { HubFrame, Refusal } from "../../../durable-objects/live-hub/api.ts";

/** Characters of frames, as text, before they are acknowledged: the hub stops sending to who is a mebibyte behind. */
export const ACK_AFTER_CHARS = 64 * 1_024;

export const MINUTES_TOPIC = "minutes";
export const tileTopic = (definition: string): string => `tile:${definition}`;

export class LiveFeed {
  #topics: readonly string[];
  readonly #told = new Set<string>();
  readonly #refused = new Map<string, Refusal>();
  /** What the hub was asked for last. */
  #asked = "";
  #seq: number | null = null;
  #unread = 0;

  constructor(topics: readonly string[]) {
    this.#topics = topics;
  }

  /** Of an address to connect to. */
  params(): Record<string, string> {
    const topics = this.#topics.filter((topic) => this.#refused.get(topic) !== "unknown_tile");
    const isKnown = this.#seq !== null && topics.every((topic) => this.#told.has(topic));
    this.#unread = 0;
    this.#asked = this.#topics.join();
    return { topics: topics.join(), ...(isKnown && { resume: String(this.#seq) }) };
  }

  /** @returns what to tell the hub; null where it knows. */
  want(topics: readonly string[]): string | null {
    if (topics.join() === this.#topics.join()) return null;
    this.#topics = topics;
    for (const known of [this.#told, this.#refused]) {
      for (const topic of known.keys()) if (!topics.includes(topic)) known.delete(topic);
    }
    return this.#subscribe();
  }

  /** @returns the frame, null where this page does not know its kind: the server may be newer; and what to answer. */
  take(text: string): { readonly frame: HubFrame | null; readonly say: string | null } {
    const frame = JSON.parse(text) as HubFrame;
    this.#unread += text.length;
    switch (frame.type) {
      case "snapshot":
        this.#told.add(MINUTES_TOPIC);
        break;
      case "tile_snapshot":
        this.#told.add(tileTopic(frame.tile));
        this.#refused.delete(tileTopic(frame.tile));
        break;
      case "minute":
      case "tile":
      case "resumed":
        break;
      case "refused":
        this.#refused.set(frame.topic, frame.reason);
        // What changes of it meanwhile is not told: its next beginning is a snapshot.
        this.#told.delete(frame.topic);
        return { frame, say: null };
      default:
        return { frame: null, say: null };
    }
    this.#seq = Math.max(this.#seq ?? 0, frame.seq);
    return { frame, say: this.#unread >= ACK_AFTER_CHARS ? this.#ack() : null };
  }

  /** What goes with a ping: what was heard since the last, and topics that could not be had, or were wanted while nobody listened. */
  beat(): string[] {
    const again =
      this.#asked !== this.#topics.join() || [...this.#refused.values()].some((reason) => reason !== "unknown_tile");
    return [...(this.#unread > 0 && this.#seq !== null ? [this.#ack()] : []), ...(again ? [this.#subscribe()] : [])];
  }

  #ack(): string {
    this.#unread = 0;
    return JSON.stringify({ type: "ack", seq: this.#seq });
  }

  #subscribe(): string {
    this.#asked = this.#topics.join();
    return JSON.stringify({ type: "subscribe", topics: this.#topics });
  }
}
