import { spawnSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { Job } from "../../durable-objects/replay-desk/api.ts";
import { beginErasure } from "../../queues/erasure/erasure-progress.ts";
import { ERASURE_STORES } from "../../queues/erasure/erasure-store.ts";
import { erasureReceipt } from "../../queues/erasure/receipt.ts";
import { receiptSigner } from "../../r2-layout/signed-receipt.ts";
import { subjectHasher } from "../../r2-layout/subjects.ts";

const IDENTITY_KEY = "an identity key";
const ROOT = join(import.meta.dirname, "../..");
const dir = mkdtempSync(join(tmpdir(), "receipt-"));
afterAll(() => rmSync(dir, { recursive: true }));

const newSigner = () =>
  receiptSigner(generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "der" }).toString("base64"));
const signer = await newSigner();

/** As the last step of a job makes it. */
async function signedReceipt() {
  const begun = beginErasure();
  const confirmed = { state: "confirmed", unit: "files", found: 2, removed: 2, confirmedAt: 3_000, statement: "none." };
  return signer.sign(
    erasureReceipt({
      job: { id: "erasure-1", spec: { mode: "erase" }, createdAt: 1_000, startedAt: 2_000 } as unknown as Job,
      progress: {
        ...begun,
        subjects: { users: 1, devices: 0, emails: 0 },
        raisedAt: 2_500,
        rules: { versions: [1], places: [4] } as unknown as typeof begun.rules,
        stores: Object.fromEntries(
          ERASURE_STORES.map((name) => [name, { ...begun.stores[name], ...confirmed }]),
        ) as typeof begun.stores,
      },
      hashes: [subjectHasher(IDENTITY_KEY)({ kind: "user", id: "ann" })],
      replaced: new Map(),
      stores: ERASURE_STORES,
      nowMs: 4_000,
    }),
  );
}

function verify(document: unknown, ...parameters: string[]) {
  const file = join(dir, "receipt.json");
  writeFileSync(file, typeof document === "string" ? document : JSON.stringify(document));
  const run = spawnSync(process.execPath, ["scripts/verify-receipt.ts", file, ...parameters], {
    cwd: ROOT,
    encoding: "utf8",
  });
  return { code: run.status, out: run.stdout, err: run.stderr };
}

describe("npm run verify-receipt", () => {
  it("promise 7: holds for what was signed, and says what every store has removed", async () => {
    const receipt = await signedReceipt();
    const { code, out } = verify(receipt, "--key", signer.key.public);
    expect(code).toBe(0);
    expect(out).toContain(`signed by key ${signer.key.id}\n`);
    for (const store of ERASURE_STORES) expect(out).toContain(`  ${store}: 2 files found, 2 removed`);
    expect(out).toContain("point-in-time recovery");
    expect(verify(receipt).out).toContain("which it brings itself");
  });

  it("promise 7: refuses what was tampered with, another's key, and what is none", async () => {
    const receipt = await signedReceipt();
    const tampered = JSON.stringify(receipt).replace('"removed":2', '"removed":3');
    expect(verify(tampered)).toMatchObject({ code: 1, err: expect.stringContaining("tampered") });
    const { public: otherKey } = (await newSigner()).key;
    expect(verify(receipt, "--key", otherKey)).toMatchObject({ code: 1, err: expect.stringContaining("other_key") });
    expect(verify("no receipt")).toMatchObject({ code: 1, err: expect.stringContaining("cannot be read") });
  });

  it("tells whether somebody is among the erased to whoever has the identity key", async () => {
    const receipt = await signedReceipt();
    const identity = ["--identity-key", IDENTITY_KEY];
    expect(verify(receipt, "--subject", "user:ann", ...identity)).toMatchObject({
      code: 0,
      out: expect.stringContaining("user is among the subjects"),
    });
    expect(verify(receipt, "--subject", "user:bob", ...identity).code).toBe(1);
    expect(verify(receipt, "--subject", "user:ann").code).toBe(1);
  });
});
