/**
 * What the beacon puts on the wire: `{"sent_at": ..., "events": [...]}` to POST /v1/events. Names are those of
 * r2-layout/event-columns.ts; what the edge can derive (path, host, UTM, browser, country) is not sent.
 */
export interface BeaconEvent {
  readonly event_id: string;
  readonly event_type: "page" | "track" | "identify";
  readonly event_name: string;
  /** ISO 8601, the sender's clock; the edge corrects it by `sent_at`. */
  readonly client_time: string;
  readonly anonymous_id: string;
  readonly user_id?: string;
  readonly session_id: string;
  readonly client_seq: number;
  readonly sdk: string;
  readonly page_url?: string;
  readonly page_title?: string;
  readonly referrer?: string;
  readonly locale?: string;
  readonly screen?: string;
  readonly app_name?: string;
  readonly app_version?: string;
  readonly properties?: Readonly<Record<string, unknown>>;
  /** Of identify: what is known of the user. */
  readonly traits?: Readonly<Record<string, unknown>>;
}

export const SDK = "eventpile-beacon/0.1.0";
