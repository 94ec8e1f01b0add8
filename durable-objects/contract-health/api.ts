/** What others may ask of the ContractHealth (one object, named `health`): whether events are as expected, and whom it tells. */
import type { Expectations } from "../../r2-layout/contracts/contract.ts";
import type { Expectation, SourceHour } from "../../r2-layout/contracts/expected.ts";

export const CONTRACT_HEALTH_NAME = "health";

/** One event in one hour (milliseconds, its beginning). */
export interface HourReport {
  readonly eventName: string;
  readonly hour: number;
  /** The contract's version that says what is expected. */
  readonly version: number;
  /** Whose coverage is told. */
  readonly fields: readonly string[];
  readonly sources: readonly SourceHour[];
  /** Sources that there was no room for. */
  readonly left: number;
  /** Why not all could be counted; null: it was. */
  readonly unread: string | null;
}

export interface StoredHour extends HourReport {
  /** Judged: all that was received in the hour is in it. */
  readonly isFinal: boolean;
}

/** An expectation that does not hold, from the first hour that says so until it holds again. */
export interface Break {
  readonly id: number;
  readonly eventName: string;
  readonly source: string;
  readonly expectation: Expectation;
  readonly field: string | null;
  readonly expected: number;
  /** In the last hour that broke it. */
  readonly actual: number;
  /** Hours: the first, and the last that broke it. Milliseconds. */
  readonly since: number;
  readonly last: number;
  /** Null while it is open. */
  readonly ended: { readonly hour: number; readonly because: EndReason } | null;
}

/** It holds again; nobody expects it any more; the source has sent nothing for HEALTH.sourceMs. */
export type EndReason = "holds" | "not_expected" | "source_gone";

export interface HealthOverview {
  /** Beginning of the newest hour that was judged, milliseconds; null before the first. */
  readonly judged: number | null;
  /** Events by name that there was no room for in it, and breaks that there is none for. */
  readonly leftEvents: number;
  readonly leftBreaks: number;
  /** Of each event the newest hour that is kept and in which something came. */
  readonly hours: readonly StoredHour[];
  /** Open ones, the newest first. */
  readonly breaks: readonly Break[];
  readonly open: number;
  readonly webhooks: readonly WebhookState[];
}

export const MESSAGE_TYPES = ["contract.broken", "contract.recovered", "webhook.test"] as const;
export type MessageType = (typeof MESSAGE_TYPES)[number];

export interface NewWebhook {
  readonly url: string;
  readonly description: string;
}

export interface WebhookState extends NewWebhook {
  readonly id: string;
  /** Milliseconds. */
  readonly createdAt: number;
  readonly waiting: number;
  readonly delivered: number;
  readonly givenUp: number;
  /** Null since the last call that was taken. */
  readonly lastError: string | null;
  readonly lastDeliveredAt: number | null;
}

/** One message for one receiver. */
export interface Delivery {
  /** The same over all attempts: a receiver that has seen it may pass it over. */
  readonly id: string;
  readonly type: MessageType;
  readonly state: "waiting" | "delivered" | "given_up";
  readonly attempts: number;
  /** Milliseconds. */
  readonly createdAt: number;
  /** Null once it is settled. */
  readonly nextAt: number | null;
  readonly lastError: string | null;
  /** As it was sent, JSON. */
  readonly body: string;
}

export interface ContractHealthApi {
  /** Hours that are over and not judged, the oldest first. */
  open(nowMs: number): Promise<number[]>;
  /** Which of the events are still to be reported of the hour, to be judged, or else at all. */
  todo(hour: number, eventNames: readonly string[], isFinal: boolean): Promise<string[]>;
  /**
   * Takes the place of what was reported of the hour before, unless that was judged. @param judge what is expected, where
   * all that was received in the hour is in it: it is judged, and whoever wants to know is told.
   */
  report(report: HourReport, judge: Expectations | null): Promise<"kept" | "judged" | "known">;
  /** All events of the hour have been judged. @param leftEvents for which there was no room */
  finish(hour: number, leftEvents: number): Promise<void>;
  overview(): Promise<HealthOverview>;
  /** Of one event: hours that are kept, the newest first, and breaks, open or over. */
  event(eventName: string): Promise<{ readonly hours: StoredHour[]; readonly breaks: Break[] }>;
  addWebhook(webhook: NewWebhook): Promise<{ readonly id: string; readonly secret: string } | "full">;
  /** What waits for it is forgotten. @returns whether there was one. */
  removeWebhook(id: string): Promise<boolean>;
  /** Sends it a message that means nothing. @returns the message's id, null where there is no such receiver. */
  testWebhook(id: string): Promise<string | null>;
  /** The newest first; null where there is no such receiver. */
  deliveries(id: string): Promise<{ readonly webhook: WebhookState; readonly deliveries: Delivery[] } | null>;
}
