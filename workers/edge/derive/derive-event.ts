/**
 * One event as the sender wrote it -> the columns of its row. Names of Segment's HTTP API everywhere, and beside them
 * the columns' own names on `/v1/events`. What is only decoration (a locale that is a number) is left out when it
 * cannot be read; what the event cannot be told without (its name, its time, whom it is about) goes to quarantine.
 */
import { type DerivedEvent, EVENT_COLUMNS, type EventFlag, type EventType } from "../../../r2-layout/event-columns.ts";
import { propertiesOf, type QuarantineMark } from "../../../r2-layout/log-line.ts";
import { cutUtf8 } from "../../../r2-layout/utf8.ts";
import { countryCode, type RequestFacts } from "../request-facts.ts";
import { eventTimes, readTime } from "./event-times.ts";
import { isObject, type JsonObject, kindOf, objectOf, textOf } from "./json.ts";
import { type OwnColumns, ownColumns } from "./own-columns.ts";
import { readCampaign, readPage, withoutFragment } from "./page.ts";
import { Findings } from "./quarantine.ts";
import { readCurrency, readRevenue } from "./revenue.ts";
import { isVisitor, readUserAgent } from "./user-agent.ts";

export interface Derivation {
  readonly row: DerivedEvent;
  readonly quarantine: QuarantineMark | undefined;
}

const TYPES: ReadonlySet<string> = new Set<EventType>(["page", "screen", "track", "identify", "group", "alias"]);
const NO_COLUMNS: OwnColumns = Object.freeze({});

/** @param sentAt of the request as a whole, microseconds; an event's own stands above it. */
export function deriveEvent(
  raw: JsonObject,
  eventId: string,
  sentAt: number | undefined,
  facts: RequestFacts,
): Derivation {
  const findings = new Findings();
  const isOwn = facts.call === "events";
  const own = isOwn ? ownColumns(raw, findings) : NO_COLUMNS;
  const context = objectOf(raw.context);
  const properties = objectOf(raw.properties);
  for (const field of ["context", "properties", "traits"] as const) {
    if (raw[field] !== undefined && raw[field] !== null && !isObject(raw[field])) {
      findings.add("wrong_type", field, "object", raw[field]);
    }
  }

  const type = readType(raw, facts, findings);
  const name = readName(raw, type, isOwn, findings);
  const userId = readIdentity(raw, isOwn ? ["user_id", "userId"] : ["userId"], findings);
  const anonymousId = readIdentity(raw, isOwn ? ["anonymous_id", "anonymousId"] : ["anonymousId"], findings);
  const times = eventTimes(
    readClientTime(raw, isOwn, findings),
    readTime(raw.sentAt) ?? (isOwn ? readTime(raw.sent_at) : undefined) ?? sentAt,
    facts.receivedAt,
  );

  const page = readPage(type === "page" ? [properties, objectOf(context.page)] : [objectOf(context.page)]);
  const pageUrl = own.page_url === undefined ? page.url : withoutFragment(own.page_url);
  const where = own.page_url === undefined ? page : readPage([{ url: own.page_url }]);
  const campaign = readCampaign(objectOf(context.campaign), pageUrl);
  const agent =
    (isOwn ? textOf(raw.user_agent) : undefined) ??
    textOf(context.userAgent) ??
    (facts.userAgent !== null && isVisitor(facts.userAgent) ? facts.userAgent : undefined);
  const device = readUserAgent(agent);
  const os = objectOf(context.os);
  const app = objectOf(context.app);
  const place = readPlace(context, facts);
  const money = readRevenue(name ?? "", properties);

  const flags: EventFlag[] = [];
  if (times.late) flags.push("late");
  if (times.clockSkewed) flags.push("clock_skewed");
  if (device.bot) flags.push("bot");
  if (facts.republish !== undefined) flags.push("republished");

  const row: Partial<DerivedEvent> = {
    event_id: eventId,
    event_name: cut("event_name", name),
    event_type: type,
    source: facts.source,
    user_id: cut("user_id", userId),
    anonymous_id: cut("anonymous_id", anonymousId),
    session_id: own.session_id ?? cut("session_id", readSessionId(raw, context, properties)),
    event_time: times.eventTime,
    received_at: facts.receivedAt,
    sent_at: times.sentAt,
    client_time: times.clientTime,
    client_seq: own.client_seq,
    contract_version: own.contract_version,
    app_name: own.app_name ?? cut("app_name", textOf(app.name)),
    app_version: own.app_version ?? cut("app_version", textOf(app.version)),
    sdk: own.sdk ?? cut("sdk", readLibrary(objectOf(context.library))),
    flags: flags.length > 0 ? flags : undefined,
    page_url: cut("page_url", pageUrl),
    page_path: own.page_path ?? cut("page_path", where.path),
    page_host: own.page_host ?? cut("page_host", where.host),
    page_title: own.page_title ?? cut("page_title", page.title),
    referrer: own.referrer ?? cut("referrer", page.referrer),
    utm_source: own.utm_source ?? cut("utm_source", campaign.source),
    utm_medium: own.utm_medium ?? cut("utm_medium", campaign.medium),
    utm_campaign: own.utm_campaign ?? cut("utm_campaign", campaign.campaign),
    utm_term: own.utm_term ?? cut("utm_term", campaign.term),
    utm_content: own.utm_content ?? cut("utm_content", campaign.content),
    locale: own.locale ?? cut("locale", textOf(context.locale)),
    screen: own.screen ?? cut("screen", readScreen(objectOf(context.screen))),
    os: own.os ?? cut("os", textOf(os.name) ?? device.os),
    os_version: own.os_version ?? cut("os_version", textOf(os.version) ?? device.osVersion),
    browser: own.browser ?? cut("browser", device.browser),
    browser_version: own.browser_version ?? cut("browser_version", device.browserVersion),
    device_type: own.device_type ?? readDeviceType(device.deviceType, objectOf(context.device)),
    country: own.country ?? place.country ?? undefined,
    region: own.region ?? cut("region", place.region ?? undefined),
    city: own.city ?? cut("city", place.city ?? undefined),
    revenue: own.revenue ?? money.revenue,
    currency: readCurrency(own.currency) ?? money.currency,
    // In quarantine they stand in the sender's JSON only.
    properties: findings.mark === undefined ? (propertiesOf(raw) ?? undefined) : undefined,
  };
  // A quarantined event has the columns that could be read; only of the others are all required ones there.
  return { row: row as DerivedEvent, quarantine: findings.mark };
}

type TextColumn = {
  [K in keyof typeof EVENT_COLUMNS]: (typeof EVENT_COLUMNS)[K] extends { maxBytes: number } ? K : never;
}[keyof typeof EVENT_COLUMNS];

function cut(column: TextColumn, value: string | undefined): string | undefined {
  return value === undefined ? undefined : cutUtf8(value, EVENT_COLUMNS[column].maxBytes);
}

function readType(raw: JsonObject, facts: RequestFacts, findings: Findings): EventType | undefined {
  if (facts.call !== "batch" && facts.call !== "events") return facts.call;
  const field = facts.call === "events" && raw.event_type !== undefined ? "event_type" : "type";
  const given = raw[field];
  if (typeof given === "string" && TYPES.has(given)) return given as EventType;
  if (facts.call === "events" && (given === undefined || given === null)) {
    return typeof raw.event_name === "string" && TYPES.has(raw.event_name) ? (raw.event_name as EventType) : "track";
  }
  const cause = given === undefined || given === null || typeof given === "string" ? "unknown_type" : "wrong_type";
  findings.add(cause, field, [...TYPES].join(", "), given);
  return undefined;
}

function readName(
  raw: JsonObject,
  type: EventType | undefined,
  isOwn: boolean,
  findings: Findings,
): string | undefined {
  if (type !== undefined && type !== "track") return type;
  const field = isOwn && raw.event_name !== undefined ? "event_name" : "event";
  const name = textOf(raw[field]);
  if (name === undefined && type === "track") {
    const missing = ["nothing", "text"].includes(kindOf(raw[field]));
    findings.add(missing ? "missing_name" : "wrong_type", isOwn ? "event_name" : "event", "text", raw[field]);
  }
  return name;
}

/** Numbers are taken as their text: many databases hand their keys to an SDK as they are. */
function readIdentity(raw: JsonObject, fields: readonly string[], findings: Findings): string | undefined {
  for (const field of fields) {
    const value = raw[field];
    if (value === undefined || value === null || value === "") continue;
    const text = textOf(value);
    if (text === undefined) findings.add("wrong_type", field, "text", value);
    return text;
  }
  return undefined;
}

const TIME_FIELDS = ["timestamp", "originalTimestamp"] as const;
const OWN_TIME_FIELDS = ["client_time", "event_time", ...TIME_FIELDS] as const;

function readClientTime(raw: JsonObject, isOwn: boolean, findings: Findings): number | undefined {
  for (const field of isOwn ? OWN_TIME_FIELDS : TIME_FIELDS) {
    const time = readTime(raw[field]);
    if (time === undefined) continue;
    if (time !== null) return time;
    findings.add("bad_time", field, "ISO 8601 time or epoch number", raw[field]);
    return undefined;
  }
  return undefined;
}

/** Where SDKs put a session: `context.sessionId`, a property, or the entry of Segment's Amplitude destination. */
function readSessionId(raw: JsonObject, context: JsonObject, properties: JsonObject): string | undefined {
  return (
    textOf(context.sessionId) ??
    textOf(context.session_id) ??
    textOf(properties.session_id) ??
    textOf(properties.sessionId) ??
    textOf(objectOf(objectOf(raw.integrations)["Actions Amplitude"]).session_id)
  );
}

function readLibrary(library: JsonObject): string | undefined {
  const name = textOf(library.name);
  const version = textOf(library.version);
  return name !== undefined && version !== undefined ? `${name}/${version}` : name;
}

function readScreen(screen: JsonObject): string | undefined {
  const { width, height } = screen;
  return typeof width === "number" && typeof height === "number" && width > 0 && height > 0
    ? `${Math.round(width)}x${Math.round(height)}`
    : undefined;
}

/** Mobile SDKs send no user agent that a parser knows: they name the platform, and a tablet by its model. */
function readDeviceType(fromAgent: string | undefined, device: JsonObject): string | undefined {
  if (fromAgent !== undefined && fromAgent !== "other") return fromAgent;
  const type = textOf(device.type)?.toLowerCase();
  if (type === undefined) return fromAgent;
  if (type === "ios" || type === "android") {
    return /ipad|tablet|\btab\b/i.test(`${textOf(device.model)} ${textOf(device.name)}`) ? "tablet" : "mobile";
  }
  return ["desktop", "mobile", "tablet", "tv"].includes(type) ? type : "other";
}

/**
 * The connection's place is the user's unless the sender says otherwise: by a location, or by an address that is not
 * the connection's, as a server does that sends for its users.
 */
function readPlace(
  context: JsonObject,
  facts: RequestFacts,
): { country: string | null; region: string | null; city: string | null } {
  if (isObject(context.location)) {
    const { country, region, city } = context.location;
    return { country: countryCode(country), region: textOf(region) ?? null, city: textOf(city) ?? null };
  }
  const relayed = facts.address !== null && typeof context.ip === "string" && context.ip !== facts.address;
  return relayed ? { country: null, region: null, city: null } : facts;
}
