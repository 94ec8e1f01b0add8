/**
 * Everything held about a person, as one archive: a file for each store, so that what one of them holds can be told from what
 * another does. Made while it is sent, a page of one file at a time. What cannot be read whole breaks the archive off, and no
 * program takes it for whole: a zip has its directory at its end.
 *
 * A device that others use too is named and its events are left out: they may be the others'.
 */
import { makeZip } from "client-zip";
import { userKeyName } from "../../durable-objects/pii-key/api.ts";
import type { EventsPage } from "../../durable-objects/user-timeline/api.ts";
import { timelineName } from "../../durable-objects/user-timeline/timeline-name.ts";
import { closureOf } from "../../queues/erasure/closure.ts";
import { isSealed, SEALED_PREFIX, unsealed } from "../../r2-layout/contracts/sealed-text.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { SUPPORT, TIMELINE } from "../../r2-layout/limits.ts";
import type { Rule } from "../../r2-layout/rule.ts";
import { type PackedSubjects, type Subject, subjectHasher, unpackSubjects } from "../../r2-layout/subjects.ts";
import { DAY_US, isoMicros } from "../../r2-layout/time.ts";
import type { Env } from "./env.ts";
import { readUserPage } from "./event-pages.ts";
import { EXPORT_PAGE, pagesFrom } from "./export-events.ts";
import { onlineProfileJson, profileFields } from "./profile-json.ts";
import { eventJson, sessionsJson } from "./timelines.ts";

export interface ArchiveReader {
  readonly env: Env;
  readonly generation: () => Promise<number>;
  /** Microseconds. */
  readonly now: () => number;
  /** Rows of a statement, each as a list; columns by name in the order asked for. @throws Refused */
  sql(text: string, params: Readonly<Record<string, string>>): Promise<unknown[][]>;
}

type File = { readonly name: string; readonly input: AsyncIterable<Uint8Array> };

/** A zip. */
export function personArchive(reader: ArchiveReader, userId: string): ReadableStream<Uint8Array> {
  return makeZip(filesOf(reader, userId));
}

async function* filesOf(reader: ArchiveReader, userId: string): AsyncGenerator<File & { lastModified: Date }> {
  const lastModified = new Date(reader.now() / 1_000);
  for await (const file of new PersonFiles(reader, userId).files()) yield { ...file, lastModified };
}

const QUARANTINE_COLUMNS = ["received_at", "source", "event_name", "user_id", "anonymous_id", "cause", "raw"] as const;

class PersonFiles {
  readonly #reader: ArchiveReader;
  readonly #user: Subject & { kind: "user" };

  constructor(reader: ArchiveReader, userId: string) {
    this.#reader = reader;
    this.#user = { kind: "user", id: userId };
  }

  async *files(): AsyncGenerator<File> {
    const { env, generation, now } = this.#reader;
    const links = await closureOf(
      {
        timelines: env.USER_TIMELINE,
        emails: env.EMAIL_INDEX,
        identityKey: env.IDENTITY_KEY,
        generation,
      },
      [this.#user],
    );
    const own = links.links.filter(({ shared }) => !shared).map(({ subject }) => subject);
    const devices = own.filter(({ kind }) => kind === "device");
    yield text("README.txt", README);
    yield json("identifiers.json", {
      user_id: this.#user.id,
      // Somebody else's user_id is not this person's to be told.
      found: links.links
        .filter(({ subject }) => subject.kind !== "user")
        .map(({ subject, shared }) => ({ ...subject, shared })),
      complete: links.complete,
    });
    const open = await this.#unsealer([this.#user, ...devices]);
    const timeline = await this.#timelineOf(this.#user);
    const profile = onlineProfileJson(this.#user.id, await timeline.online(), profileFields(null));
    yield json("timeline/profile.json", open(profile));
    yield json("timeline/sessions.json", open(sessionsJson(await timeline.sessions(TIMELINE.sessionsPerAnswer))));
    yield this.#events("timeline/events.ndjson", open, (cursor) =>
      timeline.events({ limit: EXPORT_PAGE, ...(cursor !== undefined && { cursor }) }),
    );
    for (const [number, device] of devices.entries()) {
      const object = await this.#timelineOf({ kind: "device", id: device.id });
      yield json(`devices/${number + 1}.json`, { anonymous_id: device.id });
      yield this.#events(`devices/${number + 1}-events.ndjson`, open, (cursor) =>
        object.events({ limit: EXPORT_PAGE, ...(cursor !== undefined && { cursor }) }),
      );
    }
    const range = { from: 0, to: now() + DAY_US };
    yield this.#events("lake/events.ndjson", open, (cursor) => {
      const asked = { limit: EXPORT_PAGE, from: 0, range, stitch: false, ...(cursor !== undefined && { cursor }) };
      return readUserPage(this.#reader, this.#user.id, asked);
    });
    yield json("lake/quarantine.json", open(await this.#quarantine()));
    yield json("rules.json", await this.#rules([this.#user, ...own]));
  }

  async #timelineOf({ kind, id }: { kind: "user" | "device"; id: string }) {
    const { env, generation } = this.#reader;
    return env.USER_TIMELINE.getByName(timelineName(env.IDENTITY_KEY, { kind, id }, await generation()));
  }

  #events(
    name: string,
    open: (value: unknown) => unknown,
    readPage: (cursor: string | undefined) => Promise<EventsPage>,
  ): File {
    const input = async function* () {
      for await (const events of pagesFrom(await readPage(undefined), readPage)) {
        let lines = "";
        for (const event of events) lines += `${JSON.stringify(open(eventJson(event)))}\n`;
        yield encoder.encode(lines);
      }
    };
    return { name, input: input() };
  }

  /**
   * What stands under the person's own keys is told in clear, for it is theirs: their own, and that of each device that is theirs
   * alone, which was used before they had signed in.
   */
  async #unsealer(subjects: readonly Subject[]): Promise<(value: unknown) => unknown> {
    const { env } = this.#reader;
    const hash = subjectHasher(env.IDENTITY_KEY);
    const peeked = await Promise.all(
      subjects.map((subject) => env.PII_KEY.getByName(userKeyName(hash(subject))).peek()),
    );
    const keys = peeked.filter((key) => key !== null);
    return keys.length === 0 ? (value) => value : (value) => opened(value, keys);
  }

  async #quarantine(): Promise<Record<string, unknown>> {
    const columns = QUARANTINE_COLUMNS.join(", ");
    const rows = await this.#reader.sql(
      `SELECT ${columns} FROM quarantine WHERE user_id = $user LIMIT ${SUPPORT.archiveQuarantine + 1}`,
      { user: this.#user.id },
    );
    return {
      events: rows
        .slice(0, SUPPORT.archiveQuarantine)
        .map((row) => Object.fromEntries(QUARANTINE_COLUMNS.map((column, i) => [column, row[i]]))),
      complete: rows.length <= SUPPORT.archiveQuarantine,
    };
  }

  /** Corrections and erasures that name the person. */
  async #rules(subjects: readonly Subject[]): Promise<Record<string, unknown>[]> {
    const { env } = this.#reader;
    const { rules } = await env.EVENT_LOG.getByName(shardName(0)).rules();
    const hash = subjectHasher(env.IDENTITY_KEY);
    const hashes = new Set(subjects.map(hash));
    const ids = new Set(subjects.map(({ id }) => id));
    return rules
      .filter(({ filter }) => namesOneOf(filter, hashes, ids))
      .map(({ version, id, change, note, createdAt }) => ({
        version,
        job: id,
        change: change.kind,
        ...(note !== undefined && { note }),
        at: isoMicros(createdAt * 1_000),
      }));
  }
}

/** However deep, and in text that is JSON: a property that is no text, and what was sent as it was. */
function opened(value: unknown, keys: readonly Uint8Array[]): unknown {
  if (isSealed(value)) {
    for (const key of keys) {
      const plain = unsealed(value, key);
      if (plain) return plain.value;
    }
    return value;
  }
  if (typeof value === "string") return openedText(value, keys);
  if (Array.isArray(value)) return value.map((member) => opened(member, keys));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, opened(member, keys)]));
}

function openedText(text: string, keys: readonly Uint8Array[]): string {
  if (!/^\s*[[{]/.test(text) || !text.includes(SEALED_PREFIX)) return text;
  try {
    return JSON.stringify(opened(JSON.parse(text), keys));
  } catch {
    return text;
  }
}

function namesOneOf(filter: Rule["filter"], hashes: ReadonlySet<string>, ids: ReadonlySet<string>): boolean {
  const { subjects, where } = filter as Rule["filter"] & { readonly subjects?: PackedSubjects };
  if (subjects !== undefined && [...unpackSubjects(subjects)].some((hash) => hashes.has(hash))) return true;
  const { user_id = [], anonymous_id = [] } = where ?? {};
  return [...user_id, ...anonymous_id].some((value) => typeof value === "string" && ids.has(value));
}

const encoder = new TextEncoder();

const text = (name: string, body: string): File => ({ name, input: once(encoder.encode(body)) });
const json = (name: string, body: unknown): File => text(name, `${JSON.stringify(body, null, 2)}\n`);

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

const README = `What eventpile holds about this person.

identifiers.json       user_id, devices and addresses that belong together; "shared": others use it, too
timeline/              what support sees: profile with online features, sessions, and the events of the last 30 days
devices/               for each device that nobody else uses: events of the last 30 days without a sign-in
lake/events.ndjson     all events under the user_id that the lake has, newest first, one JSON object a line
lake/quarantine.json   events that broke their contract
rules.json             corrections and erasures that name the person

Values that were encrypted under the person's own keys are in clear. An event may be in several of these files: each store
holds a copy. Not in here: events of shared devices, events without a sign-in that are older than 30 days, counts that name
nobody, and the log's own copies, which go after 30 days and say what the lake's do.
`;
