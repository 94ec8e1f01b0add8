/**
 * What one edge instance has sent to this shard and what of it has arrived. Messages are numbered from 1 and say how
 * many events came before them, so the newest one to arrive tells the whole debt, and a message lost before the log
 * shows as a number that never came:
 *
 *     arrives n=1 (20 events, 0 before)    sent 20, arrived 20
 *     arrives n=3 (5 events, 30 before)    sent 35, arrived 25: number 2 is owed, with its 10 events
 *     arrives n=4, void [2, 10]            2's send failed and its sender was told: not owed
 *     arrives n=2 nevertheless             the queue had taken it after all: owed and paid
 *
 * Each message is seen once: a redelivery owns its id already and never gets here.
 */

export interface SentMessage {
  readonly n: number;
  readonly events: number;
  readonly before: number;
  readonly void: readonly (readonly [n: number, events: number])[];
}

export interface EdgeState {
  /** The highest number that arrived, and the events sent up to and with it. */
  readonly n: number;
  readonly sent: number;
  /** Numbers below n that are owed, and since when that is known: ranges, both ends inclusive, ascending. */
  readonly missing: readonly GapRange[];
}

export type GapRange = readonly [from: number, to: number, sinceMs: number];

/** What an arrival changes in the shard's totals. */
export interface GapChange {
  readonly accepted: number;
  readonly gaps: number;
}

/** Beyond it the oldest are forgotten: they stay owed in the totals. Only an edge that loses every other message comes here. */
const RANGES_MAX = 1_000;

const NOTHING: EdgeState = { n: 0, sent: 0, missing: [] };

/** The state after a message has arrived. Pure; any order of the same messages ends in the same state, but for times. */
export function arrive(
  state: EdgeState = NOTHING,
  message: SentMessage,
  atMs = 0,
): { state: EdgeState; change: GapChange } {
  let { n, sent } = state;
  let missing = [...state.missing];
  let accepted = 0;
  let gaps = 0;
  if (message.n > n) {
    if (message.n > n + 1) {
      missing.push([n + 1, message.n - 1, atMs]);
      gaps += message.n - n - 1;
    }
    n = message.n;
    accepted += message.before + message.events - sent;
    sent = message.before + message.events;
  } else {
    const rest = without(missing, message.n);
    if (rest) {
      missing = rest;
      gaps--;
    } else {
      accepted += message.events; // It was void, and had been taken off what is owed.
    }
  }
  for (const [number, events] of message.void) {
    const rest = without(missing, number);
    if (!rest) continue; // Told before, or it has arrived.
    missing = rest;
    gaps--;
    accepted -= events;
  }
  return { state: { n, sent, missing: missing.slice(-RANGES_MAX) }, change: { accepted, gaps } };
}

/** Milliseconds since when the oldest gap is known, null without one. */
export const oldestGapAt = ({ missing }: EdgeState): number | null =>
  missing.length === 0 ? null : Math.min(...missing.map(([, , since]) => since));

/** Numbers that are owed and became known to be in from..to, milliseconds, the ends among them. */
export const owedBetween = ({ missing }: EdgeState, fromMs: number, toMs: number): number =>
  missing.reduce((sum, [from, to, since]) => sum + (since >= fromMs && since <= toMs ? to - from + 1 : 0), 0);

/** The ranges less one number, or null where it is in none. */
function without(ranges: readonly GapRange[], n: number): GapRange[] | null {
  const at = ranges.findIndex(([from, to]) => from <= n && n <= to);
  if (at < 0) return null;
  const [from, to, since] = ranges[at]!;
  const parts: GapRange[] = [];
  if (from < n) parts.push([from, n - 1, since]);
  if (n < to) parts.push([n + 1, to, since]);
  return [...ranges.slice(0, at), ...parts, ...ranges.slice(at + 1)];
}
