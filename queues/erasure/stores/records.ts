/**
 * The store `records`: what was written down about events on the way, beside the stores. Objects of corrections, settlements
 * and audits (`jobs/`) hold rows as they were: those of ended jobs that name a subject are deleted. Rules (`rules/`, every
 * log's, the desk's jobs) name people in filters and changes: placeholders take their place, which mean the same people and
 * tell nobody who they are (r2-layout/redact.ts). Messages that could not be handled (`poison/`) keep everybody else's events;
 * of a subject's event a line is left that fan-out keeps out, so that the counts stay right should it be sent again.
 *
 * Open erasures keep whom they are about in `jobs/`, this one too, until they end; their own end deletes that.
 */
import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import type { EventLogRulesApi } from "../../../durable-objects/event-log/api.ts";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import type { ReplayDeskApi } from "../../../durable-objects/replay-desk/api.ts";
import { hasEnded } from "../../../durable-objects/replay-desk/job-rules.ts";
import { encodeMessage, parseMessage } from "../../../r2-layout/event-message.ts";
import { shardName } from "../../../r2-layout/keys.ts";
import { ERASURE } from "../../../r2-layout/limits.ts";
import { placeholders, redactedJson } from "../../../r2-layout/redact.ts";
import { placeholderOf, type SubjectHash, subjectsInJson } from "../../../r2-layout/subjects.ts";
import { eachShard } from "../../replay/each-shard.ts";
import { PREVIEW_OBJECT, SUBJECTS_OBJECT } from "../erasure-objects.ts";
import {
  type ErasureRun,
  type ErasureStore,
  nothingFound,
  type Replacement,
  type StoreFindings,
} from "../erasure-store.ts";

/** The slice of R2 that it needs. */
export interface RecordsBucket {
  list(options: { prefix: string; startAfter?: string; limit: number }): Promise<{
    readonly objects: readonly { readonly key: string }[];
    readonly truncated: boolean;
  }>;
  get(key: string): Promise<{
    readonly customMetadata?: Record<string, string>;
    arrayBuffer(): Promise<ArrayBuffer>;
  } | null>;
  put(key: string, body: string, options?: { customMetadata?: Record<string, string> }): Promise<unknown>;
  delete(key: string): Promise<unknown>;
}

export interface RecordsDeps {
  readonly bucket: RecordsBucket;
  readonly desk: Pick<ReplayDeskApi, "job" | "redact">;
  readonly logs: ObjectNamespace<Pick<EventLogRulesApi, "redactRules">>;
}

const PREFIXES = ["jobs/", "rules/", "poison/"] as const;

interface RecordsPosition {
  /** Which of the prefixes; beyond the last are desk and logs. */
  readonly part: number;
  readonly after: string | null;
  readonly objects: number;
  readonly traces: number;
}

const FIRST: RecordsPosition = { part: 0, after: null, objects: 0, traces: 0 };
const UNIT = "records";

export function recordsStore(deps: RecordsDeps): ErasureStore {
  return {
    name: "records",
    async erase(run, saved) {
      const replaced: Replacement[] = [];
      const walked = await walk(deps, run, saved, async (key, text, metadata) => {
        replaced.push(await withoutNames(deps, run, key, text, metadata));
      });
      if (!walked.done) return { ...walked, found: findings(replaced, 0) };
      const elsewhere = await redactElsewhere(deps, run, false);
      return { ...walked, found: findings(replaced, elsewhere) };
    },
    async verify(run, saved) {
      const walked = await walk(deps, run, saved, async () => {});
      const { done, position } = walked;
      const traces = position.traces + (done ? await redactElsewhere(deps, run, true) : 0);
      const statement =
        `${position.objects} objects under ${PREFIXES.join(", ")}, the rules of every log and the jobs of the desk were ` +
        `read: ${traces} name a subject. Open erasures keep whom they are about until they end.`;
      return { done, position, traces, statement };
    },
  };
}

const findings = (replaced: readonly Replacement[], elsewhere: number): StoreFindings => ({
  ...nothingFound(UNIT),
  found: replaced.length + elsewhere,
  removed: replaced.length + elsewhere,
  replaced,
});

/** Every object, and those among them that name a subject. A slice ends with a listing's page. */
async function walk(
  { bucket }: RecordsDeps,
  run: ErasureRun,
  saved: unknown,
  onNamed: (key: string, text: string, metadata: Record<string, string> | undefined) => Promise<void>,
): Promise<{ done: boolean; position: RecordsPosition }> {
  let position = (saved as RecordsPosition | null) ?? FIRST;
  while (position.part < PREFIXES.length) {
    const prefix = PREFIXES[position.part]!;
    const page = await bucket.list({
      prefix,
      limit: ERASURE.recordsListed,
      ...(position.after !== null && { startAfter: position.after }),
    });
    let { objects, traces } = position;
    for (const { key } of page.objects) {
      if (isOfErasure(key, run.id)) continue;
      const object = await bucket.get(key);
      if (!object) continue; // Its job has ended meanwhile.
      objects++;
      const text = textOf(new Uint8Array(await object.arrayBuffer()));
      if (!namesSubject(text, run) && !quotesSubject(text, run)) continue;
      traces++;
      await onNamed(key, text, object.customMetadata);
    }
    position = page.truncated
      ? { part: position.part, after: page.objects.at(-1)!.key, objects, traces }
      : { part: position.part + 1, after: null, objects, traces };
    if (run.now() >= run.untilMs && position.part < PREFIXES.length) return { done: false, position };
  }
  return { done: true, position };
}

/** What an open erasure is about. Everything of this one, whose end it is. */
const isOfErasure = (key: string, id: string): boolean =>
  key.startsWith(`jobs/${id}/`) ||
  /^jobs\/erasure-[^/]+\/(.+)$/.exec(key)?.[1] === SUBJECTS_OBJECT ||
  /^jobs\/erasure-[^/]+\/(.+)$/.exec(key)?.[1] === PREVIEW_OBJECT;

function textOf(bytes: Uint8Array): string {
  const isPacked = bytes[0] === 0x1f && bytes[1] === 0x8b;
  return Buffer.from(isPacked ? gunzipSync(bytes) : bytes).toString();
}

const JSON_TEXT = /"(?:[^"\\\n]|\\.)*"/g;

/** Each text of JSON of any shape, also of a message that nobody could read: whole texts, as identifiers stand in it. */
function namesSubject(text: string, { hash, hashes }: ErasureRun): boolean {
  const seen = new Set<string>();
  for (const [quoted] of text.matchAll(JSON_TEXT)) {
    if (quoted.length > LONGEST || seen.has(quoted)) continue;
    seen.add(quoted);
    for (const subject of subjectsInJson(unquoted(quoted))) {
      // A placeholder is no name.
      if (!subject.id.startsWith(PLACEHOLDER) && hashes.has(hash(subject))) return true;
    }
  }
  return false;
}

const PLACEHOLDER = placeholderOf("");
/** Quoted: each byte escaped at the worst. */
const LONGEST = 6 * ERASURE.identifierBytes + 2;

/** In a text that is cut or damaged, what looks like a text of JSON may begin at the wrong quotation mark. */
function quotesSubject(text: string, { subjects }: ErasureRun): boolean {
  const first = text.slice(0, text.indexOf("\n") + 1 || undefined);
  return !isJson(first) && subjects.some(({ id }) => text.includes(JSON.stringify(id)));
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function unquoted(quoted: string): string {
  try {
    return JSON.parse(quoted) as string;
  } catch {
    return quoted.slice(1, -1);
  }
}

async function withoutNames(
  { bucket, desk }: RecordsDeps,
  run: ErasureRun,
  key: string,
  text: string,
  customMetadata: Record<string, string> | undefined,
): Promise<Replacement> {
  const after = key.startsWith("rules/")
    ? redactedJson(text, names(run))
    : key.startsWith("poison/")
      ? keptOut(text, run)
      : null;
  if (key.startsWith("jobs/")) await refuseOpen(desk, key);
  if (after === null) await bucket.delete(key);
  else await bucket.put(key, after, customMetadata && { customMetadata });
  return {
    old: key,
    oldSha256: sha256(text),
    new: after === null ? null : key,
    newSha256: after === null ? null : sha256(after),
    bytes: after === null ? 0 : Buffer.byteLength(after),
  };
}

/** @throws Error while its job runs: it needs what it has written. It ends, and this store is asked again. */
async function refuseOpen(desk: RecordsDeps["desk"], key: string): Promise<void> {
  const id = key.split("/")[1]!;
  const job = await desk.job(id);
  if (job && !hasEnded(job.state)) throw new Error(`job ${id} is ${job.state} and has written down rows of a subject`);
}

/** The message with everybody else's events. Null where it is no message, and has to go whole. */
function keptOut(text: string, run: ErasureRun): string | null {
  const read = parseMessage(text);
  if (!read.ok) return null;
  const { header, lines } = read.value;
  const lineOf = (line: string): string => (namesSubject(line, run) ? emptyLine(line, run) : line);
  const after = encodeMessage({ header, lines: lines.map(lineOf) });
  return namesSubject(after, run) ? null : after;
}

/** What fan-out reads as the subject's, by the placeholder, and keeps out; it still owns its id. */
function emptyLine(line: string, { hash, hashes }: ErasureRun): string {
  const found = [...line.matchAll(JSON_TEXT)]
    .flatMap(([quoted]) => subjectsInJson(unquoted(quoted)))
    .map(hash)
    .find((one) => hashes.has(one));
  return JSON.stringify({ row: { user_id: placeholderOf(found!) }, d: 0, raw: {} });
}

/** Rules in the logs, and the desk's jobs. @returns how many named a subject */
async function redactElsewhere({ desk, logs }: RecordsDeps, run: ErasureRun, isTrial: boolean): Promise<number> {
  const byName = names(run);
  const inLogs = await eachShard(run.places.length, (shard) =>
    logs.getByName(shardName(shard)).redactRules(byName, isTrial),
  );
  return inLogs.reduce((sum, each) => sum + each, await desk.redact(byName, isTrial));
}

const names = ({ subjects, hash }: ErasureRun): Map<string, string> =>
  placeholders(subjects.map((subject): [string, SubjectHash] => [subject.id, hash(subject)]));

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
