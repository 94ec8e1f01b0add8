/**
 * What an erasure asks of timelines: of the erased subjects' own, which go whole and leave a mark, and of others', which may
 * name them. Identifiers come in clear, and none of them is kept.
 */
import type { Subject as Erased } from "../../r2-layout/subjects.ts";

/** Whom a timeline names beside its own subject. */
export interface NamedByTimeline {
  readonly users: string[];
  readonly devices: string[];
  /** As `normalizeEmail` gives them. */
  readonly emails: string[];
  /** There were more than a timeline keeps. */
  readonly cut: boolean;
}

export interface TimelineErasureApi {
  named(): Promise<NamedByTimeline>;
  /**
   * Everything goes: events, state, what rebuilds keep, the alarm. With `isMarked`, or where there was anything, a mark stays,
   * which refuses (`rules:`) whatever knows only older rules than this version: what was under way does not begin it anew. Safe to repeat.
   */
  forget(rules: number, isMarked: boolean): Promise<{ readonly held: boolean }>;
  /** Whether it holds anything but a mark. */
  holds(): Promise<boolean>;
  /** Takes the subjects out of somebody else's timeline: events that name them, pointers, addresses, last values. Safe to repeat. */
  scrub(subjects: readonly Erased[], rules: number): Promise<{ readonly traces: number }>;
  /** How many traces `scrub` would take out. */
  traces(subjects: readonly Erased[]): Promise<number>;
}
