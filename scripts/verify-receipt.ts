/**
 * Checks the receipt of an erasure offline:
 *
 *     npm run verify-receipt -- receipt.json --key <public key, base64> [--subject user:u-1 --identity-key <secret>]
 *
 * Without `--key` the receipt is checked against the key that it brings, which shows that it is whole, not whose it is. With
 * a subject and the operator's identity key it also says whether that person is among the erased. Exit code 0: it holds.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { ErasureReceipt } from "../queues/erasure/receipt.ts";
import { normalizeEmail } from "../r2-layout/email.ts";
import { verifyReceipt } from "../r2-layout/signed-receipt.ts";
import { SUBJECT_KINDS, type SubjectKind, subjectHasher } from "../r2-layout/subjects.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { key: { type: "string" }, subject: { type: "string" }, "identity-key": { type: "string" } },
});
const [file] = positionals;
if (file === undefined) fail("name the file of a receipt");

const verified = await verifyReceipt(parsed(file), values.key);
if (!verified.ok) fail(`${file}: ${verified.error.reason}: ${verified.error.detail}`);
const { receipt, key } = verified.value as { receipt: ErasureReceipt; key: { id: string; public: string } };
const { users, devices, emails, hashes } = receipt.subjects;
console.log(
  `${file}: signed by key ${key.id}${values.key === undefined ? ", which it brings itself: compare it with the operator's" : ""}`,
);
console.log(`${receipt.mode} ${receipt.id}: ${users} users, ${devices} devices, ${emails} e-mail addresses`);
console.log(
  `asked ${receipt.requested_at}, kept out since ${receipt.kept_out_since}, completed ${receipt.completed_at}`,
);
for (const { store, unit, found, removed, replaced, replaced_beyond, confirmed_at } of receipt.stores) {
  const objects = replaced.length + replaced_beyond;
  console.log(
    `  ${store}: ${found} ${unit} found, ${removed} removed, ${objects} objects replaced, confirmed ${confirmed_at}`,
  );
}
for (const limit of receipt.limits) console.log(`  limit: ${limit}`);

if (values.subject !== undefined) {
  const { kind, id } = subjectOf(values.subject);
  const identityKey = values["identity-key"];
  if (identityKey === undefined) fail("a subject is found by its keyed hash: give --identity-key too");
  const isIn = hashes.includes(subjectHasher(identityKey)({ kind, id }));
  if (!isIn) fail(`${kind} is not among the subjects of this receipt`);
  console.log(`${kind} is among the subjects of this receipt`);
}

function parsed(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    return fail(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function subjectOf(text: string): { kind: SubjectKind; id: string } {
  const at = text.indexOf(":");
  const kind = SUBJECT_KINDS.find((known) => known === text.slice(0, at));
  const given = text.slice(at + 1);
  const id = kind === "email" ? normalizeEmail(given) : given;
  return kind && id ? { kind, id } : fail("a subject is user:<id>, device:<id> or email:<address>");
}

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}
