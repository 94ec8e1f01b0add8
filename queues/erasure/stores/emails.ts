/**
 * The store `emails`: rows of the index of addresses. An erased address loses all of its rows, an erased user or device theirs
 * under the addresses that the erased events gave; the store `timelines` has taken those that a timeline knew. What was
 * taken is marked, by keyed hashes, and nobody who was slow adds it again.
 */
import { EmailAddress } from "../../../durable-objects/email-index/address.ts";
import type { EmailIndexApi, ForgottenEmail } from "../../../durable-objects/email-index/api.ts";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import { SESSIONS } from "../../../r2-layout/limits.ts";
import type { Subject } from "../../../r2-layout/subjects.ts";
import type { JobBucket } from "../../replay/job-store.ts";
import { boundedParallel } from "../../sessions/bounded-parallel.ts";
import { retried } from "../../sessions/timeline-writer.ts";
import type { ErasureRun, ErasureStep, ErasureStore, VerifyStep } from "../erasure-store.ts";
import { ErasedPairs, indexedBy } from "./erased-pairs.ts";
import { keepNames, readNames } from "./kept-names.ts";

export interface EmailsErasureDeps {
  readonly bucket: JobBucket;
  readonly emails: ObjectNamespace<Pick<EmailIndexApi, "forget" | "traces">>;
  readonly identityKey: string;
}

/** The object, the address's hash and the row's nonce (empty: all of the address), hexadecimal. */
type KeptRow = readonly [object: string, address: string, nonce: string];
type RowsByObject = ReadonlyMap<string, readonly ForgottenEmail[]>;

export function emailsStore(deps: EmailsErasureDeps): ErasureStore {
  return {
    name: "emails",
    erase: (run, position) => erase(deps, run, (position as { page: string | null } | null)?.page ?? null),
    verify: (run) => verify(deps, run),
  };
}

async function erase(deps: EmailsErasureDeps, run: ErasureRun, after: string | null): Promise<ErasureStep> {
  const rows = new Map<string, KeptRow>();
  const add = (row: KeptRow) => rows.set(row.join("/"), row);
  if (after !== null) for (const row of await readNames<readonly KeptRow[]>(deps.bucket, run.id, "emails")) add(row);
  else for (const { kind, id } of run.subjects) if (kind === "email") add(rowOf(deps.identityKey, id, null));
  const pairs = new ErasedPairs(run, deps.bucket);
  let page = after;
  let done = false;
  for (let first = true; first || run.now() < run.untilMs; first = false) {
    const next = await pairs.next(page);
    if (!next) {
      done = true;
      break;
    }
    for (const { owner, email } of indexedBy(next.events)) {
      if (run.hashes.has(run.hash(owner))) add(rowOf(deps.identityKey, email, owner));
    }
    page = next.name;
  }
  // Before they go: cut in between, whoever looks again knows them.
  await keepNames(deps.bucket, run.id, "emails", [...rows.values()]);
  let removed = 0;
  await eachObject(deps, run, byObject([...rows.values()]), async (index, some) => {
    removed += (await index.forget(some)).removed;
  });
  return { done, position: { page }, found: { unit: "rows", found: removed, removed, replaced: [] } };
}

async function verify(deps: EmailsErasureDeps, run: ErasureRun): Promise<VerifyStep> {
  const rows = await readNames<readonly KeptRow[]>(deps.bucket, run.id, "emails");
  let traces = 0;
  await eachObject(deps, run, byObject(rows), async (index, some) => {
    traces += await index.traces(some);
  });
  const statement = `The index of e-mail addresses was asked for ${rows.length} rows, by the keyed hashes of the erased addresses and of whoever was erased under another's.`;
  return { done: true, position: null, traces, statement };
}

function rowOf(identityKey: string, email: string, owner: (Subject & { kind: "user" | "device" }) | null): KeptRow {
  const address = new EmailAddress(identityKey, email);
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
  return [address.objectName, hex(address.hash), owner ? hex(address.seal(owner).nonce) : ""];
}

function byObject(rows: readonly KeptRow[]): RowsByObject {
  const objects = new Map<string, ForgottenEmail[]>();
  const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));
  for (const [object, address, nonce] of rows) {
    const row = { address: bytes(address), nonce: nonce === "" ? null : bytes(nonce) };
    const known = objects.get(object);
    if (known) known.push(row);
    else objects.set(object, [row]);
  }
  return objects;
}

async function eachObject(
  { emails }: EmailsErasureDeps,
  run: ErasureRun,
  rows: RowsByObject,
  work: (index: Pick<EmailIndexApi, "forget" | "traces">, some: readonly ForgottenEmail[]) => Promise<void>,
): Promise<void> {
  await boundedParallel(rows, SESSIONS.callsAtOnce, ([name, some]) =>
    retried(() => {
      run.calls.left--;
      return work(emails.getByName(name), some);
    }),
  );
}
