/** Frames as text: made of bodies that are JSON already, so that a state is encoded once, however many are told it and how often. */
import type { Feed, FeedItem } from "./feed.ts";
import { MINUTES, type Topic, tileOf } from "./topics.ts";

export interface Frame {
  readonly topic: Topic;
  readonly seq: number;
  readonly text: string;
}

const head = (type: string, seq: number, at: string): string => `{"type":"${type}","seq":${seq},"at":"${at}"`;

/** All that there is, as of `seq`. */
export function snapshotFrame(topic: Topic, feed: Feed, seq: number, now: number): string {
  const at = new Date(now).toISOString();
  const bodies = feed.snapshot(now).join(",");
  const tile = tileOf(topic);
  if (tile === null) return `${head("snapshot", seq, at)},"minutes":[${bodies}]}`;
  return `${head("tile_snapshot", seq, at)},"tile":"${tile}","points":[${bodies}]}`;
}

/** What changed, for a client that catches up: a frame a minute, one of a tile. @param seq of all of them */
export function catchUpFrames(topic: Topic, items: readonly FeedItem[], seq: number, now: number): string[] {
  if (items.length === 0) return [];
  return topic === MINUTES
    ? items.map((item) => changeText(topic, [item], seq, now))
    : [changeText(topic, items, seq, now)];
}

/** The same for all who have followed: a frame for each number that was given, in their order. @param items by their numbers */
export function changeFrames(topic: Topic, items: readonly FeedItem[], now: number): Frame[] {
  const bySeq = Map.groupBy(items, ({ seq }) => seq);
  return Array.from(bySeq, ([seq, told]) => ({ topic, seq, text: changeText(topic, told, seq, now) }));
}

/** @param items one, where they are minutes */
function changeText(topic: Topic, items: readonly FeedItem[], seq: number, now: number): string {
  const at = new Date(now).toISOString();
  const tile = tileOf(topic);
  const bodies = items.map(({ body }) => body).join(",");
  // A minute's body is an object: its members go behind the head's.
  if (tile === null) return `${head("minute", seq, at)},${bodies.slice(1)}`;
  return `${head("tile", seq, at)},"tile":"${tile}","points":[${bodies}]}`;
}

/** The client has all there is, as of `seq`. */
export const resumedFrame = (seq: number, now: number): string =>
  `${head("resumed", seq, new Date(now).toISOString())}}`;

/** The topic is not listened to. */
export const refusedFrame = (topic: Topic, reason: string): string =>
  JSON.stringify({ type: "refused", topic, reason });
