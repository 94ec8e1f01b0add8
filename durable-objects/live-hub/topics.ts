/** What a socket may listen to: the wall's minutes, and tiles by their ids. Read from an address, or from what a client says. */
import { LIVE } from "../../r2-layout/limits.ts";
import { err, ok, type Result } from "../../r2-layout/result.ts";
import { isTileId } from "../tile-rollup/definition.ts";

export const MINUTES = "minutes";
const TILE = "tile:";

export type Topic = typeof MINUTES | `tile:${string}`;

/** The id of a tile's topic, null of the minutes. */
export const tileOf = (topic: Topic): string | null => (topic === MINUTES ? null : topic.slice(TILE.length));

export const topicOf = (tile: string): Topic => `${TILE}${tile}`;

export interface LiveRequest {
  readonly topics: readonly Topic[];
  /** The last seq that the client has seen; null: it has seen none. */
  readonly resume: number | null;
}

export interface BadLiveParameter {
  readonly parameter: "topics" | "resume";
  readonly detail: string;
}

/** Parameters: topics (names with commas between; default: the minutes), resume. */
export function parseLiveRequest(params: URLSearchParams): Result<LiveRequest, BadLiveParameter> {
  const topics = parseTopics((params.get("topics") || MINUTES).split(","));
  if (!topics) return err({ parameter: "topics", detail: TOPICS_WANTED });
  const text = params.get("resume") ?? "";
  if (!/^\d{0,16}$/.test(text) || !Number.isSafeInteger(Number(text))) {
    return err({ parameter: "resume", detail: "the `seq` of the last frame that was received" });
  }
  return ok({ topics, resume: text === "" ? null : Number(text) });
}

const TOPICS_WANTED = `1 to ${LIVE.topics} of \`minutes\` and \`tile:<id>\`, with commas between`;

/** Each once, in the order given. @returns null where one is none, or there are too many. */
export function parseTopics(names: unknown): Topic[] | null {
  if (!Array.isArray(names) || names.length === 0 || names.length > LIVE.topics || !names.every(isTopic)) return null;
  return [...new Set(names)];
}

function isTopic(name: unknown): name is Topic {
  if (typeof name !== "string") return false;
  return name === MINUTES || (name.startsWith(TILE) && isTileId(name.slice(TILE.length)));
}
